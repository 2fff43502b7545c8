"""docs/asvs.md has every line of its chapters, and each test that it names is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "asvs.md").read_text()
LEVEL_2 = {
    "1.1": 2, "1.2": 9, "1.3": 11, "1.4": 3, "1.5": 2,
    "2.1": 3, "2.2": 3, "2.3": 4, "2.4": 1,
    "6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4,
    "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 2, "7.6": 2,
    "8.1": 2, "8.2": 3, "8.3": 1, "8.4": 1,
    "9.1": 3, "9.2": 4,
    "10.1": 2, "10.2": 2, "10.3": 4, "10.4": 11, "10.5": 5, "10.6": 2, "10.7": 3,
}  # fmt: skip
"""Section of ASVS 5.0.0 to how many lines it has of level 1 and 2; they are numbered from 1 in each."""


def rows() -> Iterator[tuple[str, str, str, str]]:
    for line in DOCUMENT.splitlines():
        if re.match(r"\| \d+\.\d+\.\d+", line):
            number, state, how, shown = (cell.strip() for cell in line.strip("|").split("|"))
            yield number, state, how, shown


def lines_of(number: str) -> Iterator[str]:
    """`10.4.1 to 10.4.3` stands for three lines."""
    first, _, last = number.partition(" to ")
    section, _, start = first.rpartition(".")
    for each in range(int(start), int((last or first).rpartition(".")[2]) + 1):
        yield f"{section}.{each}"


def test_every_line_of_the_chapters_is_answered_once() -> None:
    expected = [f"{section}.{number}" for section, lines in LEVEL_2.items() for number in range(1, lines + 1)]
    assert [line for number, *_ in rows() for line in lines_of(number)] == expected


def test_every_answer_has_a_test_or_a_reason() -> None:
    assert [number for number, state, how, shown in rows() if state not in {"kept", "partly", "none"}] == []
    assert [number for number, _, how, shown in rows() if not how and not shown] == []
    assert [number for number, state, how, _ in rows() if state != "kept" and not how] == []


def test_every_test_that_is_named_is_there() -> None:
    lost = []
    for file, name in re.findall(r"`([\w/]+\.py)(?:::(test_\w+))?`", DOCUMENT):
        path = ROOT / "tests" / "central" / file
        known = [path, ROOT / file, ROOT / "central" / file]
        found = next((one for one in known if one.exists()), None)
        if found is None or (name and f"def {name}(" not in found.read_text()):
            lost.append(f"{file}::{name}")
    assert lost == []
