"""A deliberately bad terminal fails the right numbers, and a good one of another maker fails none."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from simulators.tck.broker import Broker
from simulators.tck.checks import Ledger, Report, wanted_numbers
from simulators.tck.contract import Voice
from simulators.tck.hands import SocketHands
from simulators.tck.keys import load_keys
from simulators.tck.kit_central import KitCentral
from simulators.tck.schema import Schemas
from simulators.tck.terminal_bench import Patience, TerminalBench, made_deck
from simulators.tck.terminal_checks import TERMINAL_CHECKS
from simulators.tck.terminal_kit import examine
from simulators.tck.trace import Trace

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages
from bad_terminal import BadTerminal

PATIENCE = Patience(connect_s=20, answer_s=3, resend_s=4, heartbeat_s=8, backlog_taps=150)
AT_ONCE = 20


@dataclass(frozen=True)
class Case:
    """A misbehaviour, the stage in which it shows, and the numbers that must fail: these and no others."""

    misbehaviour: str
    stage: str
    fails: frozenset[str]
    follows: frozenset[str] = frozenset()
    """What may fail as well, because it builds on what is broken."""


def case(misbehaviour: str, stage: str, *fails: str) -> Case:
    return Case(misbehaviour, stage, frozenset(fails), FOLLOWS.get(misbehaviour, frozenset()))


FOLLOWS = {
    "renumbers": frozenset(
        {"CRD-01.2", "DUR-01.1", "DUR-01.2", "DUR-02.1", "DUR-03.1", "DUR-05.3", "DUR-06.1", "DUR-06.2", "INC-01.7",
         "INC-02.6", "TIM-01.1", "TIM-01.2", "TIM-01.4", "DUR-05.1", "CRD-01.1"}
    ),
    "other_bytes_live": frozenset({"DUR-01.1", "DUR-08.1"}),
    "believes_old_epoch": frozenset({"DUR-04.3"}),
    "green_before_stored": frozenset({"DUR-01.1", "DUR-03.1", "DUR-05.1"}),
}  # fmt: skip


CASES = [
    case("green_before_stored", "kill", "DUR-01.2"),
    case("needs_broker", "outage", "DUR-01.3"),
    case("reserialises", "silence resend", "DUR-02.1"),
    case("never_resends", "silence resend", "DUR-02.2"),
    case("renumbers", "kill", "DUR-02.3"),
    case("resends_have", "silence resend", "DUR-02.4"),
    case("puback_is_ack", "silence resend", "DUR-03.1", "DUR-02.2"),
    case("never_acknowledged", "resend", "DUR-03.2", "DUR-02.4"),
    case("believes_any_journal", "silence", "DUR-03.3"),
    case("dies_of_nonsense", "silence", "DUR-03.4"),
    case("careless", "taps", "DUR-03.5"),
    case("never_goes_back", "epoch", "DUR-04.1"),
    case("believes_old_epoch", "silence", "DUR-04.2"),
    case("falls_back", "silence", "DUR-04.3"),
    case("forgets_cursor", "kill", "DUR-04.4"),
    case("skips_numbers", "taps", "DUR-05.1"),
    case("backwards", "outage", "DUR-05.2"),
    case("no_chain", "taps", "DUR-06.1"),
    case("wrong_head", "taps", "DUR-06.2"),
    case("believes_any_hash", "fork", "DUR-06.3", "DUR-06.5"),
    case("goes_on_forked", "fork", "DUR-06.5"),
    case("no_zone", "taps", "DUR-06.4"),
    case("long_batches", "outage", "DUR-08.2"),
    case("no_content_type", "taps", "DUR-08.3"),
    case("ignores_window", "outage", "DUR-08.4"),
    case("other_bytes_live", "outage", "DUR-08.5", "DUR-06.1", "DUR-06.2"),
    case("boottime_falls", "taps", "TIM-01.1", "TIM-01.2"),
    case("steps_in_silence", "taps", "TIM-01.2", "TIM-01.4"),
    case("clockepoch_falls", "taps", "TIM-01.3"),
    case("clock_lies", "taps", "TIM-01.4"),
    case("records_unreadable", "taps", "RDR-01.1"),
    case("brags", "taps", "CRD-01.1"),
    case("raw_identity", "taps", "CRD-01.2", "PRV-01.1", "INC-02.1"),
    case("shouts_elsewhere", "taps", "IDT-01.1"),
    case("false_source", "taps", "IDT-01.2"),
    case("listens_to_all", "taps", "IDT-01.3"),
    case("never_replies", "commands", "IDT-01.4", "IDT-01.5"),
    case("obeys_late", "commands", "IDT-01.5"),
    case("obeys_anybody", "commands", "IDT-01.6"),
    case("late_birth", "taps", "INC-01.1"),
    case("no_will", "taps", "INC-01.2"),
    case("fleeting_will", "taps", "INC-01.2"),
    case("fleeting_state", "taps", "INC-01.3"),
    case("no_heartbeat", "taps", "INC-01.4"),
    case("heavy_heartbeat", "taps", "INC-01.5"),
    case("drops_repeats", "taps", "INC-01.6"),
    case("guesses_direction", "taps", "INC-01.6", "INC-03.3"),
    case("records_green", "taps", "INC-01.7"),
    case("no_farewell", "farewell", "INC-01.8"),
    case("old_protocol", "taps", "INC-01.9", "INC-01.4"),
    case("deaf_to_rosters", "taps", "INC-02.1"),
    case("no_deltas", "roster", "INC-02.2", "INC-02.5"),
    case("trusts_any_roster", "roster", "INC-02.3"),
    case("takes_old_roster", "roster", "INC-02.4"),
    case("takes_any_delta", "roster", "INC-02.5"),
    case("forgets_roster", "kill", "INC-02.6"),
    case("stops_in_incident", "incident", "INC-03.1"),
    case("muster_as_tap", "taps", "INC-03.3"),
]


def examined(folder: Path, misbehaviour: str, only: list[str]) -> Report:
    """Run the kit against one terminal of the other maker."""
    folder.mkdir()
    keys = load_keys(folder / "keys")
    broker = Broker(Trace("tck", "gate-01"))
    central = broker.listener = KitCentral(broker, Voice(keys.signing))
    with broker:
        readers = dict.fromkeys(("in", "out", "muster"), 0)
        terminal = BadTerminal(
            port=broker.port, readers=readers, keys=folder / "keys", folder=folder, misbehaviour=misbehaviour
        )
        terminal.start()
        hand = SocketHands({direction: ("127.0.0.1", port) for direction, port in terminal.readers.items()})
        bench = TerminalBench(
            broker, central, hand, terminal, Ledger(TERMINAL_CHECKS), made_deck(), keys.card, PATIENCE
        )
        try:
            return examine(bench, Schemas(), numbers=wanted_numbers(TERMINAL_CHECKS, only))
        finally:
            hand.close()
            terminal.kill()


def around(stage: str) -> list[str]:
    """Name the checks of a stage and those that are always judged."""
    return [check.number for check in TERMINAL_CHECKS if check.stage in {*stage.split(), "always", "session"}]


def complaint(one: Case, report: Report) -> str:
    """Say what a report tells of a misbehaviour that it should not; nothing when it is right."""
    failed = set(report.numbers("failed"))
    if one.fails <= failed <= one.fails | one.follows:
        return ""
    found = [f"{v.check.number}: {v.found or v.why}" for v in report.verdicts if v.check.number in failed ^ one.fails]
    return f"{one.misbehaviour}: failed {sorted(failed)}, expected {sorted(one.fails)}; {found}"


def test_each_misbehaviour_fails_its_own_numbers_and_no_others_and_a_good_terminal_fails_none(tmp_path: Path) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        good = pool.submit(examined, tmp_path / "good", "", [])
        reports = list(
            pool.map(lambda one: examined(tmp_path / one.misbehaviour, one.misbehaviour, around(one.stage)), CASES)
        )
    complaints = []
    for one, together in zip(CASES, reports, strict=True):
        if complaint(one, together):  # twenty at once keep a slow machine from seeing some: alone, it must be right
            alone = examined(tmp_path / f"{one.misbehaviour}-alone", one.misbehaviour, around(one.stage))
            complaints.append(complaint(one, alone))
    assert not any(complaints), "\n".join(complaints)
    whole = good.result()
    if whole.numbers("untested") or whole.numbers("failed"):
        whole = examined(tmp_path / "good-alone", "", [])
    verdicts = [verdict for verdict in whole.verdicts if verdict.outcome != "passed"]
    assert not verdicts, verdicts


def test_every_check_that_can_fail_alone_has_a_misbehaviour() -> None:
    shown = {number for one in CASES for number in one.fails}
    consequences = {"DUR-01.1", "DUR-05.3", "DUR-08.1", "INC-03.2"}
    assert {check.number for check in TERMINAL_CHECKS} - shown == consequences
