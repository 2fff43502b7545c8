"""Every test that docs/faults.md and the mutants name is there under that name."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (?P<fault>[^|]+) \|(?P<seen>[^|]+)\|(?P<tests>[^|]+)\|$", re.MULTILINE)
NODE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
FAULTS = 22
"""As many as the product was asked to survive; a row may be added, none may go."""


def is_there(file: str, test: str) -> bool:
    path = ROOT / file
    return path.exists() and re.search(rf"^ *(async )?def {test}\(", path.read_text(), re.MULTILINE) is not None


def test_every_fault_says_what_is_seen_and_names_tests_that_exist() -> None:
    rows = [row for row in ROW.finditer((ROOT / "docs/faults.md").read_text()) if row["fault"] != "fault"]
    rows = [row for row in rows if set(row["fault"]) != {"-"}]
    assert len(rows) >= FAULTS
    for row in rows:
        nodes = NODE.findall(row["tests"])
        assert nodes, f"{row['fault']}: no test"
        assert row["seen"].strip(), f"{row['fault']}: nobody sees anything"
        assert [node for node in nodes if not is_there(*node)] == [], row["fault"]


def test_every_mutant_names_a_test_that_exists() -> None:
    listed = tomllib.loads((ROOT / "tests/mutants/mutants.toml").read_text())["mutant"]
    assert [one["id"] for one in listed if not is_there(*one["test"].split("::"))] == []


def test_every_mutant_still_finds_its_line() -> None:
    listed = tomllib.loads((ROOT / "tests/mutants/mutants.toml").read_text())["mutant"]
    lost = [one["id"] for one in listed if (ROOT / one["file"]).read_text().count(one["old"]) != 1]
    assert lost == [], "the lines they change were rewritten: update tests/mutants/mutants.toml"
