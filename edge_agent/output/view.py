"""What a screen shows for an event or a state, decided without any screen: colours, pictures, tones, words, times."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from edge_agent.output.texts import Line, known, lines

if TYPE_CHECKING:
    from edge_agent.output.base import KioskState, ScreenEvent

Colour = Literal["green", "amber", "red", "alarm"]
Picture = Literal["in", "out", "check", "again", "unknown", "stop", "phone"]
Tone = Literal["in", "out", "ok", "again", "unknown", "refused", "not_recorded"]

HOLD_MS = {"green": 4_000, "amber": 7_000, "red": 9_000, "alarm": 15_000}
"""How long a picture stays when nobody taps after it. Longer where the worker has to read and act."""
ROSTER_STALE_S = 15 * 60
"""The list of who is inside is called old after this."""
_GREEN_LOOKS: dict[str, tuple[Colour, Picture, Tone]] = {
    "in": ("green", "in", "in"),
    "out": ("green", "out", "out"),
}
_INCIDENT_KEYS = {"live": "evacuate", "drill": "drill", "test": "incident_test"}


class Screen(Struct, frozen=True):
    """One full picture. `lines` starts with the worker's language; `time` is the terminal's local time of the tap."""

    colour: Colour
    picture: Picture
    tone: Tone
    time: str
    hold_ms: int
    lines: tuple[Line, ...]
    name: str | None = None
    seq: int | None = None


class IncidentView(Struct, frozen=True):
    """The open incident: `loud` is false for a test of the alarm."""

    kind: str
    since: str
    loud: bool


class Status(Struct, frozen=True):
    """The quiet line, and what takes the idle picture's place: an incident or a lost reader."""

    link_up: bool
    unacknowledged: int
    forked: bool
    clock_unset: bool
    readers_lost: tuple[str, ...]
    all_readers_lost: bool
    incident: IncidentView | None


def screen(event: ScreenEvent, *, zone: tzinfo, status: Status | None = None) -> Screen | None:
    """Draw a tap or a refusal to record; None for events that only say that the state has changed.

    While a loud incident is open, a recorded tap says where to go instead of wishing a good day.
    """
    if event.kind not in {"tap", "not_recorded"}:
        return None
    key = _text_key(event)
    colour, picture, tone = _look(event, key)
    return Screen(
        colour=colour,
        picture=picture,
        tone=tone,
        time=clock_text(event.at, zone=zone),
        hold_ms=HOLD_MS[colour],
        lines=_lines(event, key, status),
        name=event.name_masked,
        seq=event.seq,
    )


def _lines(event: ScreenEvent, key: str, status: Status | None) -> tuple[Line, ...]:
    said = lines(key, event.lang)
    if event.shown != "green" or status is None or status.incident is None or not status.incident.loud:
        return said
    where_to = lines(status.incident.kind, event.lang)
    return tuple(replace(line, sub=order.sub) for line, order in zip(said, where_to, strict=True))


def _text_key(event: ScreenEvent) -> str:
    if event.kind == "not_recorded":
        return "not_recorded"
    if event.text_key is not None:
        return event.text_key
    by_colour = {"amber": "unknown_card", "red": "barred"}
    # A green event without a text still has to say which way it was.
    return by_colour.get(event.shown or "", event.direction if event.direction in {"in", "out", "muster"} else "tap")


def _look(event: ScreenEvent, key: str) -> tuple[Colour, Picture, Tone]:
    """Choose colour, picture and tone. Only an event that says green is drawn green: colour is the terminal's word."""
    if key == "not_recorded":
        return "alarm", "phone", "not_recorded"
    if key == "unreadable":
        return "red" if event.shown == "red" else "amber", "again", "again"
    if event.shown == "red":
        return "red", "stop", "refused"
    if event.shown != "green":
        return "amber", "unknown", "unknown"
    return _GREEN_LOOKS.get(event.direction or "", ("green", "check", "ok"))


def status(state: KioskState, *, zone: tzinfo) -> Status:
    """Draw the terminal's state."""
    lost = tuple(sorted(name for name, answers in state.readers.items() if not answers))
    incident = state.incident
    return Status(
        link_up=state.link_up,
        unacknowledged=state.unacknowledged,
        forked=state.forked,
        clock_unset=state.clock_state == "unset",
        readers_lost=lost,
        all_readers_lost=bool(lost) and len(lost) == len(state.readers),
        incident=None
        if incident is None
        else IncidentView(
            kind=_INCIDENT_KEYS[incident.kind],
            since=clock_text(incident.since, zone=zone, seconds=False),
            loud=incident.kind != "test",
        ),
    )


def page_texts(languages: tuple[str, ...]) -> dict[str, tuple[Line, ...]]:
    """Collect the texts that the page shows by itself, a list a key, in order of `languages`."""
    keys = ("idle", "reader_lost", "screen_lost", *_INCIDENT_KEYS.values())
    return {key: tuple(lines(key, code)[0] for code in known(languages)) for key in keys}


def clock_text(at: datetime, *, zone: tzinfo, seconds: bool = True) -> str:
    """Write an instant as the site's time of day, 24 hours."""
    return at.astimezone(zone).strftime("%H:%M:%S" if seconds else "%H:%M")
