"""A deliberately bad central fails the right numbers, and a good one of another maker fails none."""

from __future__ import annotations

import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from simulators.servers import MosquittoBroker, ServerUnavailable
from simulators.tck.central_bench import PEOPLE, CentralPatience, stranger_token
from simulators.tck.central_checks import CENTRAL_CHECKS
from simulators.tck.central_setup import CentralWish, examine_wish
from simulators.tck.checks import Report
from simulators.tck.played_terminal import PlayedTerminal

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages
from bad_central import BadCentral

pytestmark = pytest.mark.system

PATIENCE = CentralPatience(ack_s=5, see_s=3, repeat_s=3, backlog=1000)
AT_ONCE = 10

CASES: dict[str, tuple[str, set[str]]] = {
    "silent_on_repetition": ("repetition", {"DUR-02.51"}),
    "counts_again": ("repetition", {"DUR-02.52"}),
    "hashes_nothing": ("order", {"DUR-03.51", "DUR-05.51"}),
    "acks_the_head": ("greeting", {"DUR-03.52", "DUR-03.53", "DUR-03.56"}),
    "never_repeats": ("greeting", {"DUR-03.53"}),
    "shows_later": ("order", {"DUR-03.54"}),
    "forgets_at_crash": ("crash", {"DUR-03.55"}),
    "malformed_acks": ("greeting", {"DUR-03.57"}),
    "falling_epochs": ("greeting", {"DUR-04.51"}),
    "never_rises": ("backup", {"DUR-04.52"}),
    "hides_ranges": ("order", {"DUR-05.51"}),
    "orders_by_clock": ("presence", {"DUR-05.52"}),
    "jumps_gaps": ("gaps", {"DUR-06.51"}),
    "hides_gaps": ("gaps", {"DUR-06.52"}),
    "last_bytes_win": ("forks", {"DUR-06.53"}),
    "hides_forked": ("forks", {"DUR-06.53"}),
    "drops_broken_links": ("forks", {"DUR-06.54"}),
    "hides_malformed_batch": ("mistakes", {"DUR-06.55"}),
    "stops_at_malformed": ("mistakes", {"DUR-06.56"}),
    "names_every_range": ("gaps", {"DUR-06.57", "DUR-03.57"}),
    "waits_for_the_gap": ("backlog", {"DUR-08.51"}),
    "tires": ("backlog", {"DUR-08.51", "DUR-08.52"}),
    "refuses_strange_times": ("clocks", {"TIM-01.51"}),
    "calls_all_measured": ("clocks", {"TIM-01.51"}),
    "uses_receipt": ("clocks", {"TIM-01.52"}),
    "believes_weak_exits": ("presence", {"CRD-01.51"}),
    "acks_strangers": ("strangers", {"IDT-01.51"}),
    "takes_foreign_journals": ("strangers", {"IDT-01.52"}),
    "takes_foreign_sources": ("strangers", {"IDT-01.53"}),
    "fleeting_state": ("greeting", {"IDT-01.54"}),
    "never_lets_go": ("presence", {"INC-01.51", "DUR-05.52"}),
    "forgets_unknown_cards": ("presence", {"INC-01.52"}),
    "always_fresh": ("freshness", {"INC-01.53"}),
    "believes_old_will": ("freshness", {"INC-01.54"}),
    "signs_wrongly": ("roster", {"INC-02.51", "INC-02.52", "INC-02.53"}),
    "roster_without_cards": ("roster", {"INC-02.52"}),
    "roster_without_people": ("roster", {"INC-02.53"}),
    "bad_incident": ("greeting", {"INC-03.51"}),
    "names_people": ("presence", {"PRV-01.51"}),
}


def examined(folder: Path, misbehaviour: str, only: tuple[str, ...] = ()) -> Report:
    """Run the kit against one central of the other maker, each with a broker of its own."""
    folder.mkdir()
    people = {stranger_token(): number for number in range(1, PEOPLE + 1)}
    broker = started_broker(folder)
    central = None
    try:
        central = BadCentral(port=broker.port, site="tck", people=people, misbehaviour=misbehaviour)
        public = folder / "public.pem"
        public.write_bytes(central.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        wish = CentralWish(
            url=broker.url,
            site="tck",
            codes=("gate-01", "gate-02", "gate-99"),
            api=f"http://127.0.0.1:{central.api_port}",
            token="none",
            cards=tuple(f"{token}={number}" for token, number in people.items()),
            public_key=public,
            crash=central.crash,
            only=only,
            patience=PATIENCE,
        )
        return examine_wish(wish, lambda _stage: None)
    finally:
        if central is not None:
            central.close()
        broker.stop()


def started_broker(folder: Path) -> MosquittoBroker:
    """Start a broker; a port that was free a moment ago may be somebody's by now."""
    for _ in range(3):
        broker = MosquittoBroker(folder)
        with contextlib.suppress(ServerUnavailable):
            broker.start()
            return broker
    broker.start()
    return broker


def around(stage: str) -> tuple[str, ...]:
    return tuple(check.number for check in CENTRAL_CHECKS if check.stage in {stage, "always", "greeting"})


def complaint(name: str, report: Report) -> str:
    """Say what a report tells of a misbehaviour that it should not; nothing when it is right."""
    failed, fails = set(report.numbers("failed")), CASES[name][1]
    if failed == fails:
        return ""
    found = [f"{v.check.number}: {v.found or v.why}" for v in report.verdicts if v.check.number in failed ^ fails]
    return f"{name}: failed {sorted(failed)}, expected {sorted(fails)}; {found}"


def is_good(report: Report) -> bool:
    """Whether everything passed but what is judged only in an incident."""
    return report.complete and [v.check.number for v in report.verdicts if v.outcome != "passed"] == ["INC-03.51"]


def test_each_misbehaviour_fails_its_own_numbers_and_no_others_and_a_good_central_fails_none(
    server_folder: Path,
) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        good = pool.submit(examined, server_folder / "tck-good", "")
        reports = list(
            pool.map(lambda name: examined(server_folder / f"tck-{name}", name, around(CASES[name][0])), CASES)
        )
    complaints = []
    for name, together in zip(CASES, reports, strict=True):
        if complaint(name, together):  # ten at once keep a slow machine from seeing some: alone, it must be right
            complaints.append(
                complaint(name, examined(server_folder / f"tck-{name}-alone", name, around(CASES[name][0])))
            )
    assert not any(complaints), "\n".join(complaints)
    whole = good.result()
    if not is_good(whole):
        whole = examined(server_folder / "tck-good-alone", "")
    assert is_good(whole), ([verdict for verdict in whole.verdicts if verdict.outcome != "passed"], whole.notes)


def test_every_check_of_central_has_a_misbehaviour() -> None:
    shown = {number for _, fails in CASES.values() for number in fails}
    assert {check.number for check in CENTRAL_CHECKS} == shown


def test_what_is_said_just_then_is_told_apart_from_what_is_retained(server_folder: Path) -> None:
    folder = server_folder / "tck-retained"
    folder.mkdir()
    broker = started_broker(folder)
    try:
        with PlayedTerminal(broker.url, "tck", "gate-01") as early:
            central = BadCentral(port=broker.port, site="tck", people={}, misbehaviour="")
            try:
                assert early.wait(lambda: bool(early.states), PATIENCE.ack_s)
                assert not early.states[0][0]
                early.ask_again()
                assert early.wait(lambda: early.states[-1][0] and early.rosters[-1][0], PATIENCE.ack_s)
            finally:
                central.close()
    finally:
        broker.stop()
