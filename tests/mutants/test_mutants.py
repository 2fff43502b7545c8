"""Each promise's test fails when the promise is broken: one replacement in a copy of the tree, one test run there.

`mutants.toml` lists them. The run counts only if a test really failed: not if it could not be collected, and not if the
replacement is a mistake in Python rather than a change of behaviour.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("edge_agent", "central", "simulators")
RUN_S_MAX = 200
UNBROKEN_S_MAX = 1200
"""All named tests in one run, on a machine that may be busy."""
QUICK = {
    "test_acknowledging",
    "test_admission",
    "test_answering",
    "test_headcount",
    "test_journal",
    "test_loops_gate",
    "test_output_view",
    "test_presence",
    "test_rebuilt_time",
    "test_terminal_clock",
    "test_uplink",
}
"""Test modules that need no server: CI carries out the first of their mutants of each promise."""
MISTAKES = {"NameError", "ImportError", "ModuleNotFoundError", "SyntaxError", "AttributeError", "UnboundLocalError"}

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(RUN_S_MAX + 60)]

WITNESS = '''
"""Told by the run itself: which tests failed and from where the product's modules came."""

import json
import sys
from pathlib import Path

_told = {"passed": [], "failed": {}, "modules": []}


def pytest_runtest_logreport(report):
    if report.when == "call" and report.passed:
        _told["passed"].append(report.nodeid)


def pytest_runtest_makereport(item, call):
    if call.when == "call" and call.excinfo is not None:
        _told["failed"][item.nodeid] = call.excinfo.typename


def pytest_sessionfinish():
    names = [name for name in sys.modules if name.split(".")[0] in %r]
    files = [getattr(sys.modules[name], "__file__", None) for name in names]
    _told["modules"] = sorted(file for file in files if file)
    Path("witness.json").write_text(json.dumps(_told))
'''


@dataclass(frozen=True)
class Mutant:
    id: str
    promise: str
    file: str
    old: str
    new: str
    test: str
    why: str


@dataclass(frozen=True)
class Told:
    """What a run said."""

    code: int
    output: str
    passed: list[str]
    failed: dict[str, str]
    modules: list[str]


def mutants() -> list[Mutant]:
    listed: list[dict[str, Any]] = tomllib.loads((ROOT / "tests/mutants/mutants.toml").read_text())["mutant"]
    return [Mutant(**one) for one in listed]


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the tree's files as they are now; one place for all mutants, so that Python compiles it once."""
    root = tmp_path_factory.mktemp("tree")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    (root / "witness_of_the_run.py").write_text(WITNESS % (PACKAGES,))
    yield root
    shutil.rmtree(root)


def run(tree: Path, *tests: str, run_s_max: float = RUN_S_MAX) -> Told:
    """Run tests in the copy, whose packages win over the installed ones also in the processes that a test starts."""
    witness = tree / "witness.json"
    witness.unlink(missing_ok=True)
    shutil.rmtree(tree / ".hypothesis", ignore_errors=True)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "witness_of_the_run", "-x", "-q"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env |= {"PYTHONPATH": str(tree), "PYTHONPYCACHEPREFIX": str(tree / ".compiled")}
    finished = subprocess.run(
        [*command, "--hypothesis-profile=mutant", "--hypothesis-seed=1", *tests],
        cwd=tree,
        env=env,
        check=False,
        capture_output=True,
        text=True,
        timeout=run_s_max,
    )
    output = finished.stdout[-6_000:] + finished.stderr[-2_000:]
    assert witness.exists(), f"the run ended before its tests did:\n{output}"
    told = Told(finished.returncode, output, **json.loads(witness.read_text()))
    strangers = [file for file in told.modules if not file.startswith(f"{tree}{os.sep}")]
    assert not strangers, f"the run did not test the copy but {strangers}"
    return told


@contextmanager
def broken(tree: Path, mutant: Mutant) -> Iterator[None]:
    """Apply the one replacement, and undo it afterwards."""
    path = tree / mutant.file
    text, when = path.read_text(), path.stat().st_mtime
    found = text.count(mutant.old)
    assert found == 1, (
        f"{mutant.id}: its old text stands {found} times in {mutant.file}, once is needed: update the list"
    )
    path.write_text(text.replace(mutant.old, mutant.new))
    # Python tells a changed file from the one it compiled by time and size: no mutant may look like another.
    number = 1 + [one.id for one in mutants()].index(mutant.id)
    os.utime(path, (when + number, when + number))
    try:
        yield
    finally:
        path.write_text(text)
        os.utime(path, (when, when))


@pytest.mark.long
@pytest.mark.timeout(UNBROKEN_S_MAX + 60)
def test_unbroken_every_named_test_passes(tree: Path) -> None:
    named = sorted({mutant.test for mutant in mutants()})
    told = run(tree, *named, run_s_max=UNBROKEN_S_MAX)
    assert told.code == 0, told.output
    assert [name for name in named if not any(passed.split("[")[0] == name for passed in told.passed)] == []


def cases() -> Iterator[Any]:
    """All of them; one of each promise that needs no server or disk of its own in CI, the others by `make mutants`."""
    seen: set[str] = set()
    for mutant in mutants():
        is_quick = Path(mutant.test.partition("::")[0]).stem in QUICK and mutant.promise not in seen
        if is_quick:
            seen.add(mutant.promise)
        yield pytest.param(mutant, id=mutant.id, marks=[] if is_quick else [pytest.mark.long])


@pytest.mark.parametrize("mutant", list(cases()))
def test_a_broken_promise_fails_its_test(tree: Path, mutant: Mutant) -> None:
    with broken(tree, mutant):
        told = run(tree, mutant.test)
    assert told.failed, f"{mutant.id} survived ({mutant.why}): strengthen {mutant.test}\n{told.output}"
    assert told.code == pytest.ExitCode.TESTS_FAILED, told.output
    assert {name.split("[")[0] for name in told.failed} == {mutant.test}
    assert not MISTAKES & set(told.failed.values()), f"{mutant.id} is a mistake, not a breakage:\n{told.output}"
    if mutant.file.endswith(".py") and "migrations" not in mutant.file:
        assert str(tree / mutant.file) in told.modules, f"the test never imports {mutant.file}"
