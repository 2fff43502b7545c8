"""The examination of a central: its stages in order, then the judgement over every ack that was heard."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from simulators.central_api import ApiRefused
from simulators.tck import central_presence, central_stages
from simulators.tck.central_bench import Missing
from simulators.tck.central_checks import CENTRAL_CHECKS
from simulators.tck.checks import Report
from simulators.tck.played_terminal import BrokerSilent
from simulators.tck.subject import CannotControl

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.tck.central_bench import CentralBench

STAGES: dict[str, Callable[[CentralBench], None]] = {
    "greeting": central_stages.greeting,
    "order": central_stages.order,
    "repetition": central_stages.repetition,
    "gaps": central_stages.gaps,
    "forks": central_stages.forks,
    "mistakes": central_stages.mistakes,
    "strangers": central_stages.strangers,
    "presence": central_presence.presence,
    "clocks": central_presence.clocks,
    "backlog": central_presence.backlog,
    "freshness": central_presence.freshness,
    "roster": central_presence.roster,
    "backup": central_presence.backup,
    "crash": central_presence.crash,
}


def examine_central(bench: CentralBench, *, numbers: set[str]) -> Report:
    """Carry out every stage that a wanted check needs."""
    stages = {check.stage for check in CENTRAL_CHECKS if check.number in numbers} | {"greeting"}
    began = time.monotonic()
    for name, stage in STAGES.items():
        if name in stages:
            bench.tell(name)
            if not _carry_out(bench, name, stage) and name == "greeting":
                rest = [check.number for check in CENTRAL_CHECKS if check.stage != name]
                bench.ledger.cannot(rest, "central does not take what a registered terminal sends")
                break
    _judge_acks(bench)
    verdicts = [verdict for verdict in bench.ledger.verdicts() if verdict.check.number in numbers]
    played = (bench.first, bench.second, bench.stranger)
    events = sum(len(journal.records) for _, journal in bench.journals)
    took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in bench.took_s.items())
    notes = [
        f"{events} events in {len(bench.journals)} journals, {sum(len(one.acks) for one in played)} acks",
        f"time: {took}",
        *bench.troubles,
    ]
    return Report(
        "central", f"of site {bench.first.site}", verdicts, time.monotonic() - began, notes, not bench.troubles
    )


def _carry_out(bench: CentralBench, name: str, stage: Callable[[CentralBench], None]) -> bool:
    """Run a stage; when it cannot go on, its open checks have failed for that reason."""
    began = time.monotonic()
    try:
        stage(bench)
    except (Missing, BrokerSilent, ApiRefused, ConnectionError, CannotControl) as exc:
        bench.troubles.append(f"stage {name} ended early: {exc}")
        for number in bench.ledger.open(name):
            bench.ledger.judge(number, False, expected="the examination goes on", found=str(exc))
        return False
    finally:
        bench.took_s[name] = time.monotonic() - began
    return True


def _judge_acks(bench: CentralBench) -> None:
    raw = [ack for played in (bench.first, bench.second) for ack in played.raw_acks]
    wrong = [f"{ack[:120]!r}: {'; '.join(bad)}" for ack in raw if (bad := bench.schemas.complaints("ack", ack))]
    if raw:
        found = "; ".join(wrong[:3]) or f"{len(raw)} acks"
        bench.ledger.judge("DUR-03.57", not wrong, expected="every ack fits", found=found)
    _judge_epochs(bench)


def _judge_epochs(bench: CentralBench) -> None:
    """An epoch may be one journal's own or all of central's: neither falls, and central's state is not behind."""
    highest: dict[str, int] = {}
    falls = []
    for ack in (*bench.first.acks, *bench.second.acks):
        journal_id, epoch = str(ack.get("journal_id")), int(ack.get("epoch", 0))
        before = highest.get(journal_id, 0)
        if epoch < before:
            falls.append(f"{before} then {epoch}")
        highest[journal_id] = max(epoch, before)
    last = max(highest.values(), default=0)

    def said() -> int:
        try:
            return int(json.loads(bench.first.states[-1][1])["epoch"])
        except (IndexError, ValueError, KeyError, TypeError):
            return -1

    # A central that never said its state is judged by IDT-01.54.
    told = not bench.first.states or bench.first.wait(lambda: said() >= last, bench.patience.ack_s)
    bench.ledger.judge(
        "DUR-04.51",
        told and not falls,
        expected="no journal's epoch falls, and central's state names the highest",
        found=f"highest in acks {last}, in central's state {said()}; falls: {falls[:3]}",
    )
