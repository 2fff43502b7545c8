"""What central concludes from births and heartbeats, purely: who lost records, and when the epoch must rise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from central.attendance.admission import Cursor
from central.attendance.answering import EPOCH_MAX, HAVE_RANGES_MAX, STORING_MAX, acknowledgements, hear
from central.attendance.arrival import sender
from central.attendance.batch import Journal, Sender, Work
from edge_agent.wire.codec import decode, encode_event
from edge_agent.wire.messages import BOOT, Ack, Birth, Heartbeat
from edge_agent.wire.topics import TerminalTopic

ID = "01931f3e-0000-7000-8000-000000000001"
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
WHO = Sender(1, 1, TerminalTopic("site-07", "gate-03", "birth"), sender("site-07", "gate-03"))
STRANGER = Sender(2, 1, TerminalTopic("site-07", "gate-04", "birth"), sender("site-07", "gate-04"))


def birth(*, durable: int = 0, epoch: int = 1, head: int = 100, at: datetime = NOW, boot: str = "boot-2") -> Birth:
    return Birth(ID, head, "0" * 64, boot, at, 1, "synced", 1, {}, "x", durable=durable, epoch=epoch)


def beat(*, durable: int = 0, epoch: int = 1, head: int = 100, unacknowledged: int = 100) -> Heartbeat:
    return Heartbeat(ID, "boot-1", NOW, 1, head, unacknowledged, 10**9, "synced", 1, 0, durable=durable, epoch=epoch)


def held(durable: int, *ahead: int) -> dict[str, Journal]:
    return {ID: Journal(7, ID, 1, Cursor(durable, bytes(32), ahead))}


def newest(_: Journal) -> bytes:
    """An event read at `NOW`, in the boot before."""
    return encode_event(
        type_=BOOT, site="site-07", terminal="gate-03", journal_id=ID, seq=4, at=NOW, boot_id="boot-1", boottime_ns=1,
        clock_state="synced", clock_error_ms=1, clock_epoch=1, prev_hash="0" * 64, data={},
    )  # fmt: skip


def heard(
    *said: Birth | Heartbeat, journals: dict[str, Journal], epoch: int = 1, who: Sender = WHO
) -> tuple[int, Work]:
    """Return the epoch that the journal rose to, 0 when it did not, and what is to be answered."""
    work = Work()
    for journal in journals.values():
        journal.epoch = epoch
    for one in said:
        if isinstance(one, Birth):
            work.births.append((who, one))
        else:
            work.beats.append((who, one))
    return max((journal.epoch for journal in hear(work, journals, newest=newest)), default=0), work


def answer(work: Work, journals: dict[str, Journal]) -> Ack:
    ((_, payload),) = acknowledgements(work, journals)
    return decode(payload, Ack)


@pytest.mark.promise("DUR-04")
def test_what_came_in_since_does_not_hide_what_an_older_database_lacks() -> None:
    """Mutant: only the counts are compared.

    20 to 82 were acknowledged and are gone; 83 to 195 came in after the restore, so more is held than was acknowledged.
    """
    journals = held(19, 83, 195)
    risen, work = heard(beat(durable=82, head=195, unacknowledged=113), journals=journals)
    assert risen == 2
    ack = answer(work, journals)
    assert (ack.durable, ack.have, ack.epoch) == (19, [(83, 195)], 2)


@pytest.mark.promise("DUR-04")
def test_a_terminal_that_does_not_say_its_cursor_is_believed_by_its_count() -> None:
    assert heard(beat(head=100, unacknowledged=50), journals=held(49))[0] == 2
    assert heard(beat(head=100, unacknowledged=50), journals=held(50))[0] == 0


@pytest.mark.promise("DUR-04")
@pytest.mark.parametrize("say", [birth, beat])
def test_a_database_that_forgot_its_own_epoch_learns_it_from_a_terminal(say: type) -> None:
    """Mutant: a terminal of a later epoch changes nothing; it then takes every acknowledgement for an old one."""
    assert heard(say(durable=50, epoch=3), journals=held(50), epoch=1)[0] == 4
    assert heard(say(durable=50, epoch=3), journals=held(50), epoch=3)[0] == 0


@pytest.mark.parametrize("say", [birth, beat])
def test_nothing_rises_for_an_older_epoch_nor_beyond_what_the_contract_can_say(say: type) -> None:
    assert heard(say(durable=50, epoch=1), journals=held(40), epoch=2)[0] == 0
    assert heard(say(durable=40, epoch=EPOCH_MAX), journals=held(40), epoch=1)[0] == EPOCH_MAX


@pytest.mark.promise("DUR-04")
@pytest.mark.parametrize("say", [birth, beat])
def test_a_terminal_raises_the_epoch_of_its_own_journal_only(say: type) -> None:
    """Mutant: whose journal it is is not asked, and one wrong heartbeat lets another's cursor go back."""
    other = "01931f3e-0000-7000-8000-000000000002"
    journals = held(40) | {other: Journal(8, other, 1, Cursor(40, bytes(32)))}
    risen, work = heard(say(durable=90, epoch=1), journals=journals, who=STRANGER)
    assert (risen, work.answer) == (0, {})
    assert heard(say(durable=90, epoch=1), journals=journals)[0] == 2
    assert journals[other].epoch == 1


@pytest.mark.promise("DUR-04")
@pytest.mark.parametrize("say", [birth, beat])
def test_a_terminal_whose_whole_journal_is_gone_is_answered_above_what_it_believes(say: type) -> None:
    _, work = heard(say(durable=90, epoch=3), journals={})
    assert (answer(work, {}).durable, answer(work, {}).epoch) == (0, 4)
    _, work = heard(say(durable=0, epoch=0), journals={})
    assert (answer(work, {}).durable, answer(work, {}).epoch) == (0, 1)


def test_the_highest_epoch_that_anybody_says_is_risen_above() -> None:
    said = [birth(durable=5, epoch=4), beat(durable=5, epoch=9), beat(durable=7, epoch=1)]
    assert heard(*said, journals=held(5), epoch=1)[0] == 10


def test_a_birth_said_while_an_event_was_being_stored_is_no_loss() -> None:
    journals = held(4)
    assert not heard(birth(head=3, at=NOW + STORING_MAX), journals=journals)[1].found
    assert not heard(birth(head=4, at=NOW + timedelta(days=1)), journals=journals)[1].found
    (found,) = heard(birth(head=3, at=NOW + STORING_MAX + timedelta(seconds=1)), journals=journals)[1].found
    assert (found.journal, found.kind, found.seq) == (7, "head_behind", 3)
    assert found.detail == "the terminal's head is 3, 4 is held"


def test_an_ack_goes_to_its_terminal_and_names_every_range_that_the_contract_has_room_for() -> None:
    ranges = tuple(bound for number in range(HAVE_RANGES_MAX + 2) for bound in (10 * number + 10, 10 * number + 13))
    journals = held(4, *ranges)
    _, work = heard(birth(durable=4), journals=journals)
    ((topic, _),) = acknowledgements(work, journals)
    ack = answer(work, journals)
    assert topic == "ccs/v1/site-07/gate-03/ack"
    assert ack.have == [(10 * number + 10, 10 * number + 13) for number in range(HAVE_RANGES_MAX)]
    assert (ack.journal_id, ack.durable, ack.hash) == (ID, 4, "0" * 64)


def test_a_heartbeat_that_owes_nothing_is_not_answered_and_one_that_does_is() -> None:
    assert heard(beat(durable=100, unacknowledged=0), journals=held(100))[1].answer == {}
    assert heard(beat(durable=99, unacknowledged=1), journals=held(100))[1].answer == {ID: WHO}


def of_boot(boot: str, since_boot: timedelta, *, clock: str = "synced") -> Birth:
    nanoseconds = since_boot // timedelta(microseconds=1) * 1000
    return Birth(ID, 3, "0" * 64, boot, NOW + timedelta(days=1), nanoseconds, clock, 1, {}, "x", durable=3, epoch=1)  # type: ignore[arg-type]  # a word of the wire


def lost(said: Birth) -> list[str]:
    return [found.kind for found in heard(said, journals=held(4))[1].found]


def test_inside_a_boot_its_clock_says_whether_a_birth_came_after_what_is_missing_from_it() -> None:
    """Mutant: the wall clock decides, which may have been set in between."""
    within, beyond = STORING_MAX, STORING_MAX + timedelta(seconds=1)
    assert lost(of_boot("boot-1", within)) == []
    assert lost(of_boot("boot-1", beyond)) == ["head_behind"]


def test_over_a_boot_only_clocks_that_were_compared_say_so() -> None:
    assert lost(of_boot("boot-2", timedelta(0))) == ["head_behind"]
    assert lost(of_boot("boot-2", timedelta(0), clock="holdover")) == ["head_behind"]
    assert lost(of_boot("boot-2", timedelta(0), clock="rtc")) == []
    assert lost(of_boot("boot-2", timedelta(0), clock="unset")) == []


def test_over_a_boot_a_clock_may_be_off_by_all_that_it_owns_up_to() -> None:
    """A day lies between; the largest error that the wire can carry is no failure either."""
    said, day_ms = of_boot("boot-2", timedelta(0), clock="holdover"), timedelta(days=1) // timedelta(milliseconds=1)
    assert lost(replace(said, clock_error_ms=day_ms // 2)) == ["head_behind"]
    for error_ms in (day_ms, 2**63 - 1):
        assert lost(replace(said, clock_error_ms=error_ms)) == []


@pytest.mark.parametrize("raw", [None, b"not an event"])
def test_without_a_readable_newest_event_nobody_is_said_to_have_lost_anything(raw: bytes | None) -> None:
    """Mutant: a month that was let go of makes every birth behind it an alarm."""
    work, journals = Work(), held(4)
    work.births.append((WHO, birth(head=3, at=NOW + timedelta(days=1))))
    hear(work, journals, newest=lambda _: raw)
    assert work.found == []


@pytest.mark.promise("DUR-04")
def test_each_range_beyond_the_cursor_counts_as_held_with_both_its_ends() -> None:
    """Mutant: ranges are counted one too long, or only some of them: what a restore took is then not missed."""
    journals = held(10, 21, 30, 41, 41, 51, 55)
    assert heard(beat(head=60, unacknowledged=60 - 26), journals=journals)[0] == 0
    assert heard(beat(head=60, unacknowledged=60 - 27), journals=journals)[0] == 2
