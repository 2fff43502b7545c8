"""The gate's own list of who is inside, as a page that needs no network and prints on paper (INC-02)."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, NamedTuple

from edge_agent.output.texts import line
from edge_agent.output.view import ROSTER_STALE_S, IncidentView, clock_text, status
from edge_agent.tap.roster import mask_name

if TYPE_CHECKING:
    from edge_agent.output.base import KioskState
    from edge_agent.wire.messages import Inside

_TEMPLATE = Template((Path(__file__).with_name("static") / "muster.html").read_text(encoding="utf-8"))
CLOCKS_APART_MAX = timedelta(minutes=1)
"""A list may look newer than now by this much: central's clock and ours."""
_KEPT = frozenset({"synced", "holdover"})
_HEADINGS = (("", ""), ("이름", "Name"), ("들어온 때", "In since"), ("직종", "Trade"), ("구역", "Zone"))


def muster_page(state: KioskState, *, terminal_name: str, now: datetime, zone: tzinfo, whole_names: bool) -> str:
    """Write the page. Names are whole when an incident is open or someone asked for a roll call."""
    incident = status(state, zone=zone).incident
    whole = whole_names or incident is not None
    age = list_age(state, now)
    link = (
        ""
        if whole
        else '<a href="muster?names=whole">점호용 전체 이름 <span lang="en">Whole names for roll call</span></a>'
    )
    return _TEMPLATE.substitute(
        terminal_name=escape(terminal_name),
        incident=_incident(incident),
        count=len(state.inside),
        at=state.roster_at.isoformat() if state.roster_at else "",
        age=_age(state.roster_at, age, zone=zone),
        stale="true" if age.unsure or age.seconds is None or age.seconds > ROSTER_STALE_S else "false",
        made_at=now.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
        names_link=link,
        list=_groups(state.inside, now=now, zone=zone, whole=whole),
    )


def _incident(incident: IncidentView | None) -> str:
    if incident is None:
        return ""
    words = " · ".join(escape(line(incident.kind, lang).title) for lang in ("ko", "en"))
    return f'<p class="incident" data-kind="{incident.kind}" role="alert">{words} · {incident.since}</p>'


class ListAge(NamedTuple):
    """How old the list is, in whole seconds; None when it cannot be told. `unsure`: by a clock that nobody confirms."""

    seconds: int | None
    unsure: bool


def list_age(state: KioskState, now: datetime) -> ListAge:
    """Tell the list's age by a clock that may be wrong: a terminal that started without network may be days behind."""
    if state.roster_at is None or state.clock_state == "unset" or now < state.roster_at - CLOCKS_APART_MAX:
        return ListAge(None, unsure=True)
    seconds = max(0, int((now - state.roster_at).total_seconds()))
    return ListAge(seconds, unsure=state.clock_state not in _KEPT)


def _age(roster_at: datetime | None, age: ListAge, *, zone: tzinfo) -> str:
    if roster_at is None:
        return (
            "받은 명단이 없습니다. 사람 수를 직접 세세요. "
            '<span lang="en">No list was ever received here: count people in person.</span>'
        )
    at = roster_at.astimezone(zone).strftime("%m-%d %H:%M")
    if age.seconds is None:
        return (
            f"{at} 기준 · 얼마나 지났는지 알 수 없습니다. 이 단말기의 시계가 맞지 않습니다. "
            f'<span lang="en">as of {at} · its age is unknown: this terminal\'s clock is not right</span>'
        )
    ko, en = age_words(age.seconds)
    if age.unsure:
        return (
            f"{at} 기준 · 단말기 시계로 {ko} 전, 시계는 확인되지 않았습니다. "
            f'<span lang="en">as of {at} · {en} ago by this terminal\'s clock, which nobody confirms</span>'
        )
    return f'{at} 기준 · {ko} 전 <span lang="en">as of {at} · {en} ago</span>'


def age_words(age_s: int) -> tuple[str, str]:
    """Say an age in Korean and English, in the largest unit that fits: seconds, minutes, hours, days."""
    for limit_s, unit_s, korean, english in (
        (120, 1, "초", "s"),
        (7200, 60, "분", "min"),
        (172_800, 3600, "시간", "h"),
    ):
        if age_s < limit_s:
            return f"{age_s // unit_s}{korean}", f"{age_s // unit_s} {english}"
    return f"{age_s // 86_400}일", f"{age_s // 86_400} days"


def _groups(inside: list[Inside], *, now: datetime, zone: tzinfo, whole: bool) -> str:
    """List by employer, because that is how a roll call is called."""
    people = sorted(inside, key=lambda person: (person.employer, person.name, person.person))
    parts: list[str] = []
    for employer, group in groupby(people, key=lambda person: person.employer):
        rows = [_row(person, now=now, zone=zone, whole=whole) for person in group]
        title = escape(employer) or '소속 모름 <span lang="en">Employer unknown</span>'
        parts.append(f"<h2>{title} ({len(rows)})</h2><table>{_head()}<tbody>{''.join(rows)}</tbody></table>")
    return "".join(parts)


def _head() -> str:
    cells = "".join(
        f'<th scope="col">{ko} <span lang="en">{en}</span></th>' if ko else "<td></td>" for ko, en in _HEADINGS
    )
    return f"<thead><tr>{cells}</tr></thead>"


def _row(person: Inside, *, now: datetime, zone: tzinfo, whole: bool) -> str:
    name = person.name if whole else mask_name(person.name)
    today = now.astimezone(zone).date() == person.since.astimezone(zone).date()
    since = clock_text(person.since, zone=zone, seconds=False)
    if not today:
        since = f"{person.since.astimezone(zone):%m-%d} {since}"
    # Nobody is dropped for age (INC-01); a stay beyond a shift is marked so that the roll call looks there first.
    if now - person.since > timedelta(hours=14):
        since = f"⚠ {since}"
    return (
        f'<tr><td class="box"></td><td class="name">{escape(name)}</td><td class="since">{since}</td>'
        f'<td class="trade">{escape(person.trade)}</td><td class="zone">{escape(person.zone)}</td></tr>'
    )
