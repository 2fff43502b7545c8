"""What the kit says: its list, its reports, its exit codes, and why it cannot begin."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console
from typer.testing import CliRunner

from simulators.cli import app
from simulators.servers import free_port
from simulators.tck.central_checks import CENTRAL_CHECKS
from simulators.tck.checks import Check, Ledger, Report, wanted_numbers
from simulators.tck.report import as_json, as_junit, show
from simulators.tck.terminal_checks import TERMINAL_CHECKS
from simulators.tck.terminal_judging import RULES
from simulators.tck.terminal_kit import STAGES

ROOT = Path(__file__).parents[2]
PROMISES = set(re.findall(r"^\| \*\*([A-Z]+-\d+)\*\*", (ROOT / "docs/promises.md").read_text(), re.MULTILINE))
SMALL = (
    Check("DUR-01.1", "It holds.", "Nothing."),
    Check("DUR-01.2", "It <breaks> & fails.", "Mend it."),
    Check("INC-01.1", "It was not looked at.", "Look."),
)


def small_report() -> Report:
    ledger = Ledger(SMALL)
    ledger.judge("DUR-01.1", True, expected="a", found="a")
    ledger.judge("DUR-01.2", True, expected="b", found="b")
    ledger.judge("DUR-01.2", False, expected="b", found="\x00 [red]c[/] <")
    ledger.judge("DUR-01.2", False, expected="later", found="later")
    ledger.cannot(["INC-01.1", "DUR-01.1"], "there was no time")
    return Report("terminal", "tck/gate-01", ledger.verdicts(), 1.25, ["a note"])


def test_every_number_belongs_to_a_promise_and_is_given_once() -> None:
    numbers = [check.number for check in (*TERMINAL_CHECKS, *CENTRAL_CHECKS)]
    assert len(set(numbers)) == len(numbers)
    assert {check.promise for check in (*TERMINAL_CHECKS, *CENTRAL_CHECKS)} <= PROMISES
    assert all(int(check.number.partition(".")[2]) <= 50 for check in TERMINAL_CHECKS)
    assert all(int(check.number.partition(".")[2]) > 50 for check in CENTRAL_CHECKS)


def test_every_check_is_judged_by_a_stage_or_a_rule() -> None:
    assert {check.stage for check in TERMINAL_CHECKS} <= {*STAGES, "always"}
    assert {check.number for check in TERMINAL_CHECKS if check.stage == "always"} <= set(RULES)
    assert set(RULES) <= {check.number for check in TERMINAL_CHECKS}


def test_the_page_lists_the_checks_as_the_verb_does() -> None:
    """Write it anew with `ccs-sim tck checks --markdown` when this fails."""
    listed = CliRunner().invoke(app, ["tck", "checks", "--markdown"]).output
    page = (ROOT / "docs/tck.md").read_text()
    missing = [line for line in listed.splitlines() if line not in page.splitlines()]
    assert not missing
    assert len(re.findall(r"^\| [A-Z]+-\d+\.\d+ \|", page, re.MULTILINE)) == len(TERMINAL_CHECKS) + len(CENTRAL_CHECKS)
    assert f"all {len(TERMINAL_CHECKS)} checks" in page
    assert f"all {len(CENTRAL_CHECKS)};" in page


def test_a_check_that_failed_once_stays_failed_and_its_first_finding_is_told() -> None:
    report = small_report()
    assert (report.numbers("passed"), report.numbers("failed")) == (["DUR-01.1"], ["DUR-01.2"])
    assert report.verdicts[1].expected == "b"
    assert report.verdicts[2].why == "there was no time"
    with pytest.raises(KeyError):
        Ledger(SMALL).judge("DUR-01.9", True, expected="", found="")


def test_nothing_tested_is_no_success_and_strict_wants_everything() -> None:
    ledger = Ledger(SMALL[:1])
    assert not Report("terminal", "x", ledger.verdicts(), 0).acceptable(strict=False)
    ledger.judge("DUR-01.1", True, expected="", found="")
    assert Report("terminal", "x", ledger.verdicts(), 0).acceptable(strict=True)
    assert not Report("terminal", "x", ledger.verdicts(), 0, complete=False).acceptable(strict=False)
    more = Ledger(SMALL[:2])
    more.judge("DUR-01.1", True, expected="", found="")
    assert Report("terminal", "x", more.verdicts(), 0).acceptable(strict=False)
    assert not Report("terminal", "x", more.verdicts(), 0).acceptable(strict=True)


def test_the_report_is_written_for_people_programs_and_build_servers() -> None:
    report = small_report()
    console = Console(record=True, width=200, file=Path("/dev/null").open("w"))  # noqa: SIM115 - closed with the process
    show(report, console)
    text = console.export_text()
    assert "1 passed, 1 failed, 1 untested in 1.2 s" in text
    assert "Mend it." in text
    assert "[red]c[/]" in text
    console.file.close()
    told = json.loads(as_json(report))
    assert (told["format"], told["passed"], told["failed"], told["untested"]) == (1, 1, 1, 1)
    assert [check.get("advice") for check in told["checks"]] == [None, "Mend it.", None]
    suites = ET.fromstring(as_junit(report))
    assert [(suite.get("name"), suite.get("failures"), suite.get("skipped")) for suite in suites] == [
        ("DUR-01", "1", "0"),
        ("INC-01", "0", "1"),
    ]
    assert "Mend it." in (suites.findtext(".//failure") or "")


def test_a_promise_stands_for_all_of_its_checks() -> None:
    assert wanted_numbers(SMALL, ["DUR-01"]) == {"DUR-01.1", "DUR-01.2"}
    assert wanted_numbers(SMALL, ["INC-01.1", "DUR-01.2"]) == {"INC-01.1", "DUR-01.2"}
    assert wanted_numbers(SMALL, []) == {check.number for check in SMALL}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--listen", "nowhere"], "is not host:port"),
        (["--only", "DUR-99"], "'DUR-99' is no check here"),
        ([], "--card with the identities of 8 cards"),
        (["--reader", "in=7401"], "is not host:port"),
        (["--reader", "in=127.0.0.1:7401", "--tls-cert", "missing.pem"], "missing.pem"),
        (["--reader", "in=127.0.0.1:7401", "--run", "no-such-program"], "'no-such-program' cannot be run"),
    ],
)
def test_what_cannot_begin_says_why_and_ends_with_2(options: list[str], sentence: str, tmp_path: Path) -> None:
    listen = [] if "--listen" in options else ["--listen", f"127.0.0.1:{free_port()}"]
    result = CliRunner().invoke(app, ["tck", "terminal", "--keys", str(tmp_path / "keys"), *listen, *options])
    assert result.exit_code == 2
    assert sentence in result.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--url", "mqtt://127.0.0.1:1"], "refused"),
        (["--url", "mqtt://127.0.0.1:1", "--prepare"], "give --api and --token"),
        (["--url", "mqtt://127.0.0.1:1", "--api", "http://127.0.0.1:1", "--card", "x"], "is not TOKEN=WORKER_ID"),
        (["--url", "mqtt://127.0.0.1:1", "--only", "DUR-02.3"], "'DUR-02.3' is no check here"),
        (["--url", "mqtt://127.0.0.1:1", "--public-key", "missing.pem"], "missing.pem"),
    ],
)
def test_a_central_that_cannot_be_reached_is_said_to_be(options: list[str], sentence: str) -> None:
    result = CliRunner().invoke(app, ["tck", "central", *options])
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_a_terminal_that_never_connects_has_failed_and_nothing_else_is_claimed(tmp_path: Path) -> None:
    command = ["tck", "terminal", "--keys", str(tmp_path / "keys"), "--listen", f"127.0.0.1:{free_port()}"]
    command += ["--reader", "in=127.0.0.1:1", "--connect-s", "0.2", "--json", str(tmp_path / "report.json")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    told = json.loads((tmp_path / "report.json").read_text())
    assert [check["number"] for check in told["checks"] if check["outcome"] == "failed"] == ["INC-01.4"]
    assert (told["passed"], told["complete"]) == (0, False)
    assert "did not come within" in result.output
