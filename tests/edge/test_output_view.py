"""What the screen says, without a screen."""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from edge_agent.output.base import TEXT_KEYS, KioskState, ScreenEvent, tap_text_key
from edge_agent.output.muster import age_words, muster_page
from edge_agent.output.text import LINES_WAITING_MAX, TextDisplay
from edge_agent.output.texts import known, languages, line, lines
from edge_agent.output.view import screen, status
from edge_agent.wire.messages import Decision, Direction, Incident, Inside

SEOUL = ZoneInfo("Asia/Seoul")
AT = datetime(2026, 11, 22, 22, 41, 3, tzinfo=UTC)


def seen(**changes: object) -> ScreenEvent:
    fields: dict[str, object] = {
        "kind": "tap",
        "at": AT,
        "shown": "green",
        "direction": "in",
        "name_masked": "김*수",
        "lang": "vi",
        "text_key": "in",
    }
    return ScreenEvent(**(fields | changes))  # type: ignore[arg-type]


def inside(name: str, *, hours: int, employer: str = "한빛건설") -> Inside:
    return Inside(person=f"worker:{name}", name=name, since=AT - timedelta(hours=hours), employer=employer, zone="g")


def test_twelve_languages_say_every_text() -> None:
    assert set(languages()) == {"ko", "en", "zh", "vi", "th", "uz", "mn", "ru", "km", "my", "id", "ne"}
    wanted = set(TEXT_KEYS) - {"incident"} | {"evacuate", "drill", "incident_test", "screen_lost"}
    for code, language in languages().items():
        assert set(language.texts) == wanted, code
        assert all(text.title.strip() and text.sub.strip() for text in language.texts.values()), code
        assert language.speech.startswith(f"{code}-")


def test_the_worker_reads_their_own_language_first_and_the_office_reads_korean_and_english() -> None:
    assert [spoken.lang for spoken in lines("in", "vi")] == ["vi", "ko", "en"]
    assert [spoken.lang for spoken in lines("in", "en")] == ["en", "ko"]
    assert [spoken.lang for spoken in lines("in", None)] == ["ko", "en"]
    assert [spoken.lang for spoken in lines("in", "tlh")] == ["ko", "en"]
    assert line("in", "tlh").lang == "ko"
    assert known(["vi", "vi", "tlh"]) == ("vi", "ko", "en")


def test_a_tap_shows_masked_name_direction_and_the_sites_time() -> None:
    drawn = screen(seen(), zone=SEOUL)
    assert drawn is not None
    assert (drawn.colour, drawn.picture, drawn.tone, drawn.time) == ("green", "in", "in", "07:41:03")
    assert (drawn.name, drawn.lines[0].title) == ("김*수", "Vào")
    drawn = screen(seen(direction="out", text_key="out"), zone=SEOUL)
    assert drawn is not None
    assert (drawn.picture, drawn.tone) == ("out", "out")


@pytest.mark.parametrize("decision", get_args(Decision))
@pytest.mark.parametrize("direction", get_args(Direction))
@pytest.mark.parametrize("shown", ["green", "amber", "red", None])
def test_nothing_is_drawn_green_that_the_terminal_did_not_call_green(
    decision: str, direction: str, shown: str | None
) -> None:
    event = seen(shown=shown, direction=direction, text_key=tap_text_key(decision, direction))
    drawn = screen(event, zone=SEOUL)
    assert drawn is not None
    assert (drawn.colour == "green") == (shown == "green")
    assert {spoken.lang for spoken in drawn.lines} == {"vi", "ko", "en"}


def test_a_decision_outside_the_contract_has_no_text() -> None:
    with pytest.raises(ValueError, match="not a decision"):
        tap_text_key("waved_through", "in")


def test_a_tap_that_was_not_recorded_is_an_alarm_whatever_else_is_said() -> None:
    drawn = screen(seen(kind="not_recorded", shown="green"), zone=SEOUL)
    assert drawn is not None
    assert (drawn.colour, drawn.picture, drawn.tone) == ("alarm", "phone", "not_recorded")
    assert "CHƯA" in drawn.lines[0].title


def test_the_tones_of_ok_unknown_refused_and_not_recorded_differ() -> None:
    events = [
        seen(),
        seen(direction="out", text_key="out"),
        seen(shown="amber", text_key="unknown_card"),
        seen(shown="red", text_key="barred"),
        seen(kind="not_recorded"),
    ]
    drawn = [screen(event, zone=SEOUL) for event in events]
    assert len({one.tone for one in drawn if one}) == len(events)


def test_only_taps_have_a_picture_of_their_own() -> None:
    for kind in ("idle", "link", "incident", "reader_lost"):
        assert screen(seen(kind=kind), zone=SEOUL) is None


def test_during_an_evacuation_a_green_tap_says_where_to_go() -> None:
    incident = Incident(id="i1", kind="live", since=AT)
    drawn = screen(seen(), zone=SEOUL, status=status(KioskState(incident=incident), zone=SEOUL))
    assert drawn is not None
    assert [spoken.sub for spoken in drawn.lines] == [spoken.sub for spoken in lines("evacuate", "vi")]
    drill = status(KioskState(incident=Incident(id="i", kind="test", since=AT)), zone=SEOUL)
    assert screen(seen(), zone=SEOUL, status=drill) == screen(seen(), zone=SEOUL)


def test_a_terminal_with_one_reader_left_is_not_called_dead() -> None:
    assert not status(KioskState(readers={"a": True, "b": False}), zone=SEOUL).all_readers_lost
    assert status(KioskState(readers={"a": False, "b": False}), zone=SEOUL).all_readers_lost
    assert not status(KioskState(), zone=SEOUL).all_readers_lost


@pytest.mark.promise("INC-02")
def test_the_gates_list_always_says_how_old_it_is() -> None:
    """Mutant: leaving the age out, or calling an old list fresh."""
    minutes_ago = AT - timedelta(minutes=3)
    state = KioskState(roster_at=minutes_ago, inside=[inside("김철수", hours=2)], clock_state="synced")
    page = muster_page(state, terminal_name="Gate <3>", now=AT, zone=SEOUL, whole_names=False)
    assert "07:38 기준 · 3분 전" in page
    assert "3 min ago" in page
    assert 'data-stale="false"' in page
    assert "Gate &lt;3&gt;" in page
    old = muster_page(state, terminal_name="g", now=AT + timedelta(hours=30), zone=SEOUL, whole_names=False)
    assert 'data-stale="true"' in old
    assert "30 h ago" in old
    never = muster_page(KioskState(), terminal_name="g", now=AT, zone=SEOUL, whole_names=False)
    assert "No list was ever received" in never
    assert 'data-stale="true"' in never


@pytest.mark.promise("INC-02")
@pytest.mark.parametrize(
    ("clock_state", "behind", "says"),
    [
        ("unset", timedelta(days=20_000), "its age is unknown"),
        ("rtc", timedelta(days=3), "its age is unknown"),
        ("synced", timedelta(minutes=2), "its age is unknown"),
        ("rtc", timedelta(minutes=-2), "2 min ago by this terminal's clock, which nobody confirms"),
        ("unset", timedelta(minutes=-2), "its age is unknown"),
    ],
)
def test_a_clock_that_may_be_wrong_never_makes_an_old_list_fresh(
    clock_state: str, behind: timedelta, says: str
) -> None:
    """Mutant: believing a clock that is behind the list's own time."""
    state = KioskState(roster_at=AT, inside=[inside("김철수", hours=2)], clock_state=clock_state)
    page = muster_page(state, terminal_name="g", now=AT - behind, zone=SEOUL, whole_names=False)
    assert says in page
    assert 'data-stale="true"' in page
    assert "0 s ago" not in page


def test_names_are_masked_until_a_roll_call_needs_them() -> None:
    state = KioskState(roster_at=AT, inside=[inside("김철수", hours=2), inside("<b>", hours=1, employer="")])
    masked = muster_page(state, terminal_name="g", now=AT, zone=SEOUL, whole_names=False)
    assert "김*수" in masked
    assert "김철수" not in masked
    asked = muster_page(state, terminal_name="g", now=AT, zone=SEOUL, whole_names=True)
    assert "김철수" in asked
    assert "&lt;b&gt;" in asked
    assert "Employer unknown" in asked
    emergency = KioskState(roster_at=AT, inside=list(state.inside), incident=Incident(id="i", kind="live", since=AT))
    page = muster_page(emergency, terminal_name="g", now=AT, zone=SEOUL, whole_names=False)
    assert "김철수" in page
    assert "Evacuate" in page


def test_somebody_inside_since_yesterday_stays_on_the_list_and_is_marked() -> None:
    state = KioskState(roster_at=AT, inside=[inside("박영희", hours=30)])
    page = muster_page(state, terminal_name="g", now=AT, zone=SEOUL, whole_names=True)
    assert "⚠ 11-22 01:41" in page


def test_an_age_is_said_in_the_largest_unit_that_fits() -> None:
    assert [age_words(s)[1] for s in (0, 119, 120, 7199, 7200, 172_799, 172_800)] == [
        "0 s",
        "119 s",
        "2 min",
        "119 min",
        "2 h",
        "47 h",
        "2 days",
    ]


def test_a_console_gets_one_line_a_tap_and_says_a_lost_reader() -> None:
    console = io.StringIO()
    display = TextDisplay(console, colour=False)
    stop = threading.Event()
    display.show(seen())
    display.show(seen(shown="red", text_key="barred"))
    display.show(seen(kind="link"))
    display.show(seen(kind="reader_lost", reader="r1"))
    stop.set()
    display.run(stop, lambda: None)
    green, red, lost = console.getvalue().splitlines()
    assert green == "07:41:03  ->|  GREEN  김*수  입장 / In"
    assert "Come to the site office" in red
    assert "r1" in lost
    assert "Reader broken" in lost
    assert "\x1b[42;30m" in (TextDisplay(console, colour=True).text(seen()) or "")


def test_a_console_that_takes_nothing_never_holds_up_the_tap_path() -> None:
    display = TextDisplay(io.StringIO(), colour=False)
    for _ in range(LINES_WAITING_MAX + 5):
        display.show(seen())
    assert display.dropped == 5
