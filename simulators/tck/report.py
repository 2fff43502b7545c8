"""A report for people, for programs and for build servers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET  # builds a document, reads none

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from simulators.tck.checks import Report, Verdict

FORMAT = 1
_MARKS = {"passed": "[green]✔[/]", "failed": "[bold red]✘[/]", "untested": "[yellow]·[/]"}


def show(report: Report, console: Console) -> None:
    """Print the table of checks, and below it what failed and what to do."""
    counts = {outcome: len(report.numbers(outcome)) for outcome in ("passed", "failed", "untested")}
    table = Table(title=f"{report.side} {report.subject}", show_header=False, box=None, padding=(0, 1))
    for verdict in report.verdicts:
        why = f"  [dim]{escape(verdict.why)}[/]" if verdict.outcome == "untested" else ""
        table.add_row(_MARKS[verdict.outcome], verdict.check.number, escape(verdict.check.says) + why)
    console.print(table)
    for verdict in report.verdicts:
        if verdict.outcome == "failed":
            _explain(verdict, console)
    for note in report.notes:
        console.print(f"[dim]•[/] {escape(note)}", highlight=False)
    console.print(
        f"{counts['passed']} passed, {counts['failed']} failed, {counts['untested']} untested"
        f" in {report.seconds:.1f} s",
        style="bold red" if counts["failed"] else "bold green",
        highlight=False,
    )


def _explain(verdict: Verdict, console: Console) -> None:
    lines = [f"\n[bold red]{verdict.check.number}[/] {escape(verdict.check.says)}"]
    for name, text in (("expected", verdict.expected), ("found", verdict.found), ("do", verdict.check.advice)):
        lines.append(f"  {name:<9} {escape(text)}")
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


def as_json(report: Report) -> str:
    """Write the report as JSON: `format` rises when fields change their meaning."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "side": report.side,
        "subject": report.subject,
        "seconds": round(report.seconds, 3),
        "passed": len(report.numbers("passed")),
        "failed": len(report.numbers("failed")),
        "untested": len(report.numbers("untested")),
        "complete": report.complete,
        "notes": report.notes,
        "checks": [_as_object(verdict) for verdict in report.verdicts],
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _as_object(verdict: Verdict) -> dict[str, str]:
    check = verdict.check
    said = {"number": check.number, "promise": check.promise, "says": check.says, "outcome": verdict.outcome}
    if verdict.outcome == "untested":
        return said | {"why": verdict.why}
    more = {"advice": check.advice} if verdict.outcome == "failed" else {}
    return said | {"expected": verdict.expected, "found": verdict.found} | more


def as_junit(report: Report) -> str:
    """Write the report as JUnit XML: a suite for each promise, a case for each check."""
    suites = ET.Element("testsuites", name=f"ccs-sim tck {report.side}", time=f"{report.seconds:.3f}")
    by_promise: dict[str, list[Verdict]] = {}
    for verdict in report.verdicts:
        by_promise.setdefault(verdict.check.promise, []).append(verdict)
    for promise, verdicts in by_promise.items():
        outcomes = [verdict.outcome for verdict in verdicts]
        suite = ET.SubElement(
            suites,
            "testsuite",
            name=promise,
            tests=str(len(verdicts)),
            failures=str(outcomes.count("failed")),
            skipped=str(outcomes.count("untested")),
            errors="0",
        )
        for verdict in verdicts:
            _add_case(suite, report, verdict)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _add_case(suite: ET.Element, report: Report, verdict: Verdict) -> None:
    check = verdict.check
    name = f"{check.number} {check.says}"
    case = ET.SubElement(suite, "testcase", classname=f"tck.{report.side}.{check.promise}", name=name)
    if verdict.outcome == "failed":
        failure = ET.SubElement(case, "failure", message=_clean(verdict.found))
        failure.text = _clean(f"expected: {verdict.expected}\nfound: {verdict.found}\ndo: {check.advice}")
    elif verdict.outcome == "untested":
        ET.SubElement(case, "skipped", message=_clean(verdict.why))


def _clean(text: str) -> str:
    """Take out what XML 1.0 cannot hold."""
    return "".join(character if character.isprintable() or character in "\n\t" else "�" for character in text)
