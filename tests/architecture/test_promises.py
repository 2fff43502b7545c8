"""No promise without a test, no test with an unknown promise, and each promise names the mutant that must fail."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(
    r"^\| \*\*([A-Z]{3}-\d\d)\*\* \|(?P<promise>[^|]+)\|(?P<state>[^|]+)\|(?P<mutant>[^|]*)\|", re.MULTILINE
)
MARK = re.compile(r"pytest\.mark\.promise\(\s*([^)]*)\)")


def promised() -> dict[str, tuple[str, str]]:
    text = (ROOT / "docs" / "promises.md").read_text()
    return {found[1]: (found["state"].strip(), found["mutant"].strip()) for found in ROW.finditer(text)}


def claimed() -> dict[str, set[str]]:
    marks: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if path == Path(__file__):
            continue
        for arguments in MARK.findall(path.read_text()):
            for promise in re.findall(r"[A-Z]{3}-\d\d", arguments):
                marks.setdefault(promise, set()).add(path.relative_to(ROOT).as_posix())
    return marks


def test_every_kept_promise_has_a_test_and_a_mutant() -> None:
    orphans = {
        promise: state
        for promise, (state, mutant) in promised().items()
        if state == "kept" and (promise not in claimed() or not mutant)
    }
    assert not orphans


def test_no_test_claims_an_unknown_or_unkept_promise() -> None:
    kept = {promise for promise, (state, _) in promised().items() if state == "kept"}
    assert set(claimed()) <= kept, f"add to docs/promises.md: {set(claimed()) - kept}"
