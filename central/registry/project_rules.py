"""What follows from a project's facts: the borough of its point, its long- or short-term mode. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from central.kit.errors import Invalid
from central.kit.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

CLASSIFICATIONS = ("road", "water", "public_building", "park", "urban_rail", "other")
WON_MAX = 10**15
_MONTHS_A_YEAR = 12
_HERE = Path(__file__).parent
Ring = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Borough:
    """One of Seoul's 25. `rings` are outlines and holes, as (longitude, latitude)."""

    code: str
    ko: str
    en: str
    rings: tuple[tuple[tuple[float, float], ...], ...]


@cache
def boroughs() -> dict[str, Borough]:
    """Return the boroughs by code. Source: NGII administrative boundaries of 2023-09-15 via data.go.kr, simplified."""
    features = json.loads((_HERE / "seoul_districts.json").read_text())["features"]
    found = {}
    for feature in features:
        facts, shape = feature["properties"], feature["geometry"]
        polygons = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
        rings = tuple(tuple((lon, lat) for lon, lat in ring) for polygon in polygons for ring in polygon)
        found[facts["code"]] = Borough(facts["code"], facts["name"], facts["name_en"], rings)
    return found


def borough_of(latitude: float, longitude: float) -> str | None:
    """Return the code of the Seoul borough that a point lies in; None outside of Seoul. WGS 84 degrees."""
    for borough in boroughs().values():
        if _inside(longitude, latitude, borough.rings):
            return borough.code
    return None


def _inside(x: float, y: float, rings: Sequence[Sequence[tuple[float, float]]]) -> bool:
    """Count the edges that a ray to the east crosses: odd is inside, and a hole takes away again."""
    crossings = 0
    for ring in rings:
        for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
            if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
                crossings += 1
    return crossings % 2 == 1


def point(latitude: float | None, longitude: float | None) -> tuple[float, float] | None:
    """Pass a point, given wholly or not at all, that lies in Korea (33 to 39 N, 124 to 132 E)."""
    if latitude is None and longitude is None:
        return None
    if latitude is None or longitude is None:
        raise Invalid("give latitude and longitude together, or neither")
    if not (33 <= latitude <= 39 and 124 <= longitude <= 132):  # noqa: PLR2004 - Korea's extent, as the sentence says
        raise Invalid(
            sentence(
                "the point %(latitude)s, %(longitude)s is not in Korea (latitude 33 to 39, longitude 124 to"
                " 132): swapped?",
                latitude=str(latitude),
                longitude=str(longitude),
            )
        )
    return latitude, longitude


def project_dates(*, bid_notice_on: date | None, begins_on: date | None, ends_on: date | None) -> None:
    """Pass dates that can follow each other: notice, then begin, then end."""
    if begins_on is not None and ends_on is not None and ends_on < begins_on:
        raise Invalid(
            sentence(
                "the project ends (%(end)s) before it begins (%(begin)s): check both dates",
                end=ends_on.isoformat(),
                begin=begins_on.isoformat(),
            )
        )
    if bid_notice_on is not None and begins_on is not None and begins_on < bid_notice_on:
        raise Invalid(
            sentence(
                "the work begins (%(begin)s) before its bid notice (%(notice)s): check both dates",
                begin=begins_on.isoformat(),
                notice=bid_notice_on.isoformat(),
            )
        )


@dataclass(frozen=True, slots=True)
class ModeRule:
    """From when a project is long-term: both limits passed."""

    valid_from: date
    contract_over_won: int
    months_over: int
    source: str


@cache
def mode_rules() -> tuple[ModeRule, ...]:
    """Return the dated rules, oldest first (`thresholds.json`)."""
    rows = [row for row in json.loads((_HERE / "thresholds.json").read_text()) if row["rule"] == "long_term_mode"]
    rules = [
        ModeRule(date.fromisoformat(row["valid_from"]), row["contract_over_won"], row["months_over"], row["source"])
        for row in rows
    ]
    return tuple(sorted(rules, key=lambda rule: rule.valid_from))


def mode_of(
    *, amount_won: int, begins_on: date, ends_on: date, on: date, rules: Sequence[ModeRule] | None = None
) -> str | None:
    """Return `long_term` or `short_term` by the rule that holds on a day; None before there was one.

    `ends_on` is the last day: twelve months from 1 March end on the last of February, and that is not over twelve.
    """
    holding = [rule for rule in (mode_rules() if rules is None else rules) if rule.valid_from <= on]
    if not holding:
        return None
    rule = holding[-1]
    longer = ends_on >= months_after(begins_on, rule.months_over)
    return "long_term" if amount_won > rule.contract_over_won and longer else "short_term"


def months_after(day: date, months: int) -> date:
    """Return the same day so many months later; the month's last when it has no such day."""
    years, month0 = divmod(day.month - 1 + months, _MONTHS_A_YEAR)
    first = date(day.year + years, month0 + 1, 1)
    following = date(first.year + first.month // _MONTHS_A_YEAR, first.month % _MONTHS_A_YEAR + 1, 1)
    return first.replace(day=min(day.day, (following - first).days))
