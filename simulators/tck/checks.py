"""Checks, verdicts and the ledger they are entered in. A check that failed once stays failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Outcome = Literal["passed", "failed", "untested"]
TEXT_CHARS_MAX = 600


@dataclass(frozen=True)
class Check:
    """One thing that must hold: numbered by promise (`docs/promises.md`), with what to do when it does not."""

    number: str
    says: str
    advice: str
    stage: str = "always"
    """Where it is judged: a stage of the scenario, or `always` over everything that was seen."""

    @property
    def promise(self) -> str:
        """The promise it belongs to."""
        return self.number.partition(".")[0]


@dataclass(frozen=True)
class Verdict:
    """What became of a check. `why` says for an untested one what was missing."""

    check: Check
    outcome: Outcome
    expected: str = ""
    found: str = ""
    why: str = ""


@dataclass
class Report:
    """All verdicts of one run."""

    side: Literal["terminal", "central"]
    subject: str
    """Who was judged."""
    verdicts: list[Verdict]
    seconds: float
    notes: list[str] = field(default_factory=list)
    complete: bool = True
    """Whether every stage came to its end."""

    def numbers(self, outcome: Outcome) -> list[str]:
        """Name the checks with an outcome."""
        return [verdict.check.number for verdict in self.verdicts if verdict.outcome == outcome]

    def acceptable(self, *, strict: bool) -> bool:
        """Whether nothing failed and something was tested; under `strict`, everything was."""
        untested = bool(self.numbers("untested"))
        passed = bool(self.numbers("passed")) and not self.numbers("failed") and self.complete
        return passed and not (strict and untested)


class Ledger:
    """Verdicts by number. Unknown numbers are a mistake of the kit and raise `KeyError`."""

    def __init__(self, catalogue: Sequence[Check]) -> None:
        self._catalogue = {check.number: check for check in catalogue}
        self._failed: dict[str, tuple[str, str]] = {}
        self._passed: dict[str, tuple[str, str]] = {}
        self._why: dict[str, str] = {}

    def judge(self, number: str, holds: bool, *, expected: str, found: str) -> bool:  # noqa: FBT001 - the verdict itself
        """Enter what was found; return `holds`."""
        entry, number = (_short(expected), _short(found)), self._catalogue[number].number
        if holds:
            self._passed.setdefault(number, entry)
        else:
            self._failed.setdefault(number, entry)
        return holds

    def cannot(self, numbers: Iterable[str], why: str) -> None:
        """Say why checks are not judged; those that are, in spite of it, stay judged."""
        for number in numbers:
            self._why.setdefault(self._catalogue[number].number, why)

    def open(self, stage: str) -> list[str]:
        """Name the checks of a stage that nothing was entered for."""
        return [
            check.number
            for check in self._catalogue.values()
            if check.stage == stage
            and check.number not in self._failed | self._passed
            and check.number not in self._why
        ]

    def verdicts(self) -> list[Verdict]:
        """Return every check's verdict, in the catalogue's order."""
        return [self._verdict(check) for check in self._catalogue.values()]

    def _verdict(self, check: Check) -> Verdict:
        if check.number in self._failed:
            return Verdict(check, "failed", *self._failed[check.number])
        if check.number in self._passed:
            return Verdict(check, "passed", *self._passed[check.number])
        return Verdict(
            check, "untested", why=self._why.get(check.number, "nothing was seen that it could be judged by")
        )


def wanted_numbers(catalogue: Sequence[Check], only: Sequence[str]) -> set[str]:
    """Turn promises and numbers, such as DUR-02 or DUR-02.3, into numbers; nothing means all. Raise `ValueError`."""
    every = {check.number for check in catalogue}
    chosen: set[str] = set()
    for wish in only:
        found = {number for number in every if wish in {number, number.partition(".")[0]}}
        if not found:
            message = f"{wish!r} is no check here: give a promise such as DUR-02 or a number such as {min(every)}"
            raise ValueError(message)
        chosen |= found
    return chosen or every


def _short(text: str) -> str:
    return text if len(text) <= TEXT_CHARS_MAX else text[: TEXT_CHARS_MAX - 1] + "…"
