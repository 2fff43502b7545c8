"""The gate's own list of who is inside, as a page that needs no network and prints on paper (INC-02)."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from edge_agent.output.texts import line
from edge_agent.output.view import ROSTER_STALE_S, IncidentView, clock_text, status
from edge_agent.tap.roster import mask_name

if TYPE_CHECKING:
    from edge_agent.output.base import KioskState
    from edge_agent.wire.messages import Inside

_TEMPLATE = Template((Path(__file__).with_name("static") / "muster.html").read_text(encoding="utf-8"))
_HEADINGS = (("", ""), ("이름", "Name"), ("들어온 때", "In since"), ("직종", "Trade"), ("구역", "Zone"))


def muster_page(state: KioskState, *, terminal_name: str, now: datetime, zone: tzinfo, whole_names: bool) -> str:
    """Write the page. Names are whole when an incident is open or someone asked for a roll call."""
    incident = status(state, zone=zone).incident
    whole = whole_names or incident is not None
    age_s = None if state.roster_at is None else max(0, int((now - state.roster_at).total_seconds()))
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
        age=_age(state, age_s, zone=zone),
        stale="true" if age_s is None or age_s > ROSTER_STALE_S else "false",
        made_at=now.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
        names_link=link,
        list=_groups(state.inside, now=now, zone=zone, whole=whole),
    )


def _incident(incident: IncidentView | None) -> str:
    if incident is None:
        return ""
    words = " · ".join(escape(line(incident.kind, lang).title) for lang in ("ko", "en"))
    return f'<p class="incident" data-kind="{incident.kind}" role="alert">{words} · {incident.since}</p>'


def _age(state: KioskState, age_s: int | None, *, zone: tzinfo) -> str:
    if state.roster_at is None or age_s is None:
        return (
            "받은 명단이 없습니다. 사람 수를 직접 세세요. "
            '<span lang="en">No list was ever received here: count people in person.</span>'
        )
    ko, en = age_words(age_s)
    at = state.roster_at.astimezone(zone).strftime("%m-%d %H:%M")
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
