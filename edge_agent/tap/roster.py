"""Who the gate knows and who is inside, as an immutable view moved forward by central's signed versions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from edge_agent.wire.messages import Inside, Roster, RosterEntry


class RosterRefused(ValueError):
    """This roster does not apply to the view held; the view stays as it was."""


class RosterOld(RosterRefused):
    """The roster is older than the one held."""


class RosterGap(RosterRefused):
    """A delta was made for another version than the one held: ask central for a full roster."""


class RosterForeign(RosterRefused):
    """The roster is another site's."""


@dataclass(frozen=True, slots=True)
class RosterView:
    """One version of the roster: cards by token, people inside by person key. Version 0 is an empty beginning."""

    site: str
    version: int = 0
    issued_at: datetime | None = None
    entries: Mapping[str, RosterEntry] = field(default_factory=lambda: MappingProxyType({}))
    inside: Mapping[str, Inside] = field(default_factory=lambda: MappingProxyType({}))

    def inside_list(self) -> list[Inside]:
        """Return who is inside, longest inside first: what a gate shows and prints for a muster."""
        return sorted(self.inside.values(), key=lambda person: (person.since, person.person))


def apply(view: RosterView, roster: Roster) -> RosterView:
    """Return the view after `roster`; the same version again changes nothing. Raises `RosterRefused`."""
    if roster.site != view.site:
        raise RosterForeign(f"this terminal stands at site {view.site!r}, the roster is for {roster.site!r}")
    if roster.version < view.version:
        raise RosterOld(f"roster version {roster.version} is older than version {view.version} held here")
    if roster.version == view.version and view.issued_at is not None:
        return view
    if roster.base is None:
        entries: dict[str, RosterEntry] = {}
        inside: dict[str, Inside] = {}
    elif roster.base == view.version:
        entries, inside = dict(view.entries), dict(view.inside)
    else:
        message = f"roster {roster.version} continues version {roster.base}, but version {view.version} is held here"
        raise RosterGap(f"{message}: a full roster is needed")
    for token in roster.removed:
        entries.pop(token, None)
    for person in roster.inside_removed:
        inside.pop(person, None)
    entries.update((entry.token, entry) for entry in roster.entries)
    inside.update((person.person, person) for person in roster.inside)
    return RosterView(
        site=view.site,
        version=roster.version,
        issued_at=roster.issued_at,
        entries=MappingProxyType(entries),
        inside=MappingProxyType(inside),
    )


def mask_name(name: str) -> str:
    """Mask a name for a public screen: 김철수 → 김*수, 김수 → 김*, Nguyen Van An → N***** V** A*."""
    words = name.split()
    if len(words) == 1 and not words[0].isascii():
        return _mask_word(words[0], keep_last=True)
    return " ".join(_mask_word(word, keep_last=False) for word in words)


def _mask_word(word: str, *, keep_last: bool) -> str:
    if len(word) == 1:
        return "*"
    hidden = len(word) - (2 if keep_last and len(word) > 2 else 1)  # noqa: PLR2004 - of two letters only the first shows
    return word[0] + "*" * hidden + word[1 + hidden :]
