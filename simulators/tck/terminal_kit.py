"""The examination of a terminal: its stages in order, then the judgement over everything that was seen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from simulators.tck import terminal_endurance, terminal_stages
from simulators.tck.checks import Report
from simulators.tck.evidence import Evidence
from simulators.tck.subject import CannotControl
from simulators.tck.terminal_bench import Stuck
from simulators.tck.terminal_checks import TERMINAL_CHECKS
from simulators.tck.terminal_judging import RULES, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.tck.schema import Schemas
    from simulators.tck.terminal_bench import TerminalBench

STAGES: dict[str, Callable[[TerminalBench], None]] = {
    "session": terminal_stages.session,
    "taps": terminal_stages.taps,
    "silence": terminal_stages.silence,
    # While central is silent: the terminal sends again only after a while, and that time is used.
    "roster": terminal_stages.roster,
    "incident": terminal_stages.incident,
    "commands": terminal_stages.commands,
    "resend": terminal_endurance.resend,
    "epoch": terminal_endurance.epoch,
    "outage": terminal_endurance.outage,
    "kill": terminal_endurance.kill,
    "fork": terminal_endurance.fork,
    "farewell": terminal_endurance.farewell,
}
_NEEDS = {"resend": "silence"}


def examine(bench: TerminalBench, schemas: Schemas, *, numbers: set[str]) -> Report:
    """Carry out every stage that a wanted check needs; the broker listens and the terminal may run already."""
    stages = {check.stage for check in TERMINAL_CHECKS if check.number in numbers}
    stages |= {_NEEDS[stage] for stage in stages if stage in _NEEDS} | {"session"}
    if stages == {"session", "always"}:
        stages.add("taps")
    began = time.monotonic()
    for name, stage in STAGES.items():
        if name in stages:
            bench.tell(name)
            if not _carry_out(bench, name, stage) and name == "session":
                rest = [check.number for check in TERMINAL_CHECKS if check.stage != name]
                bench.ledger.cannot(rest, "the terminal did not connect")
                break
    judge(Evidence(bench.trace, bench.card_key, schemas), bench.ledger, numbers=numbers & set(RULES))
    verdicts = [verdict for verdict in bench.ledger.verdicts() if verdict.check.number in numbers]
    subject = f"{bench.trace.site}/{bench.trace.terminal}"
    return Report("terminal", subject, verdicts, time.monotonic() - began, _notes(bench), not bench.troubles)


def _carry_out(bench: TerminalBench, name: str, stage: Callable[[TerminalBench], None]) -> bool:
    """Run a stage; when it cannot go on, its open checks have failed for that reason."""
    began = time.monotonic()
    try:
        stage(bench)
    except (Stuck, CannotControl) as exc:
        bench.troubles.append(f"stage {name} ended early: {exc}")
        for number in bench.ledger.open(name):
            bench.ledger.judge(number, False, expected="the examination goes on", found=str(exc))
        return False
    finally:
        bench.took_s[name] = time.monotonic() - began
        if not bench.broker.listening:
            bench.broker.start()
    return True


def _notes(bench: TerminalBench) -> list[str]:
    trace = bench.trace
    events = sum(len(numbers) for numbers in trace.events.values())
    sent = sum(len(numbers) for numbers in trace.sendings.values())
    told = f"{len(trace.taps)} cards held, {events} events in {len(trace.events)} journals, sent {sent} times"
    took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in bench.took_s.items())
    return [
        f"{told}, {len(trace.sessions)} connections, {len(trace.heard)} messages",
        f"time: {took}",
        *bench.troubles,
    ]
