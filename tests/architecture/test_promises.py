"""No promise without a test and a mutant that is carried out; no test or mutant of a promise that is not kept."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
ROW = re.compile(
    r"^\| \*\*([A-Z]{3}-\d\d)\*\* \|(?P<promise>[^|]+)\|(?P<state>[^|]+)\|(?P<mutant>[^|]*)\|", re.MULTILINE
)


def promised() -> dict[str, tuple[str, str]]:
    text = (ROOT / "docs" / "promises.md").read_text()
    return {found[1]: (found["state"].strip(), found["mutant"].strip()) for found in ROW.finditer(text)}


@cache
def lister() -> ModuleType:
    """Load scripts/promises.py, which is no package."""
    spec = importlib.util.spec_from_file_location("promises", ROOT / "scripts/promises.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def claimed() -> dict[str, dict[str, list[str]]]:
    """The tests by promise and file, as their marks say."""
    marks: dict[str, dict[str, list[str]]] = lister().marks()
    return marks


def test_every_kept_promise_has_a_test_and_a_mutant() -> None:
    orphans = {
        promise: state
        for promise, (state, mutant) in promised().items()
        if state == "kept" and (promise not in claimed() or not mutant)
    }
    assert not orphans


def mutants() -> dict[str, list[str]]:
    """The ids of tests/mutants/mutants.toml by promise."""
    by_promise: dict[str, list[str]] = {}
    for one in tomllib.loads((ROOT / "tests/mutants/mutants.toml").read_text())["mutant"]:
        by_promise.setdefault(one["promise"], []).append(one["id"])
    return by_promise


def test_every_kept_promise_is_broken_by_a_mutant_that_its_row_names() -> None:
    carried_out = mutants()
    for promise, (state, named) in promised().items():
        assert state != "kept" or carried_out.get(promise), f"{promise} has no mutant in tests/mutants/mutants.toml"
        ids = re.findall(r"`([a-z]{3}-\d\d-[a-z-]+)`", named)
        assert sorted(ids) == sorted(carried_out.get(promise, [])), (
            f"docs/promises.md and mutants.toml differ: {promise}"
        )


def test_every_mutant_is_one_of_its_own_promise() -> None:
    ids = [(promise, one) for promise, some in mutants().items() for one in some]
    assert len({one for _, one in ids}) == len(ids)
    assert [one for promise, one in ids if not one.startswith(promise.lower() + "-")] == []


def test_no_test_claims_an_unknown_or_unkept_promise() -> None:
    kept = {promise for promise, (state, _) in promised().items() if state == "kept"}
    assert set(claimed()) <= kept, f"add to docs/promises.md: {set(claimed()) - kept}"


def test_the_document_points_at_the_tests_that_show_each_promise() -> None:
    """Mutant: a test loses its mark, or gets one, and docs/promises.md goes on saying what it said."""
    document = (ROOT / "docs/promises.md").read_text()
    assert document == lister().renewed(document), "run `python scripts/promises.py` and commit docs/promises.md"


def test_the_test_that_a_mutant_names_claims_the_promise_that_the_mutant_breaks() -> None:
    """Mutant: a promise's mutant is noticed by a test of something else, so that the promise's own tests may go."""
    claims = claimed()
    strangers = {
        one["id"]: one["test"]
        for one in tomllib.loads((ROOT / "tests/mutants/mutants.toml").read_text())["mutant"]
        if one["test"].partition("::")[2] not in claims.get(one["promise"], {}).get(one["test"].partition("::")[0], [])
    }
    assert strangers == {}, "mark these tests with the promise"
