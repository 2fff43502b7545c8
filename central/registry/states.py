"""The life of a card and of a terminal, as tables. Pure."""

from __future__ import annotations

from central.audit.tags import Tag
from central.identity.permissions import Permission
from central.kit.states import Machine, Transition

_CARD = Permission.REGISTRY_CARD_WRITE
_TERMINAL = Permission.REGISTRY_TERMINAL_WRITE


def _card(state: str, event: str, next_state: str, tag: Tag = Tag.CARD_STEP) -> Transition[str, str]:
    return Transition(state, event, next_state, _CARD, tag)


CARD: Machine[str, str] = Machine(
    "the card",
    [
        _card("stock", "issue", "issued", Tag.CARD_ASSIGN),
        _card("stock", "block", "blocked"),
        _card("issued", "lose", "lost", Tag.CARD_RELEASE),
        _card("issued", "return", "stock", Tag.CARD_RELEASE),
        _card("issued", "expire", "stock", Tag.CARD_RELEASE),
        _card("issued", "replace", "replaced", Tag.CARD_RELEASE),
        _card("issued", "block", "blocked", Tag.CARD_RELEASE),
        _card("lost", "find", "stock"),
        _card("lost", "replace", "replaced"),
        _card("lost", "block", "blocked"),
        _card("blocked", "unblock", "stock"),
        _card("blocked", "replace", "replaced"),
    ],
)
"""`stock`: nobody's. `issued`: somebody's. `lost` and `blocked`: nobody's before `find` or `unblock`.
`replaced`: another card took its place; the end. A gate refuses every card that nobody holds."""

CARD_EVENT_OF_REASON = {
    "lost": "lose",
    "replaced": "replace",
    "returned": "return",
    "blocked": "block",
    "expired": "expire",
}
"""Why a holding ended, as the event that it is in the card's life."""


def _terminal(state: str, event: str, next_state: str) -> Transition[str, str]:
    return Transition(state, event, next_state, _TERMINAL, Tag.TERMINAL_STEP)


TERMINAL: Machine[str, str] = Machine(
    "the terminal",
    [
        _terminal("registered", "install", "installed"),
        _terminal("registered", "remove", "removed"),
        _terminal("installed", "pass_test", "tested"),
        _terminal("installed", "report_fault", "faulty"),
        _terminal("installed", "remove", "removed"),
        _terminal("tested", "put_in_service", "in_service"),
        _terminal("tested", "report_fault", "faulty"),
        _terminal("tested", "remove", "removed"),
        _terminal("in_service", "report_fault", "faulty"),
        _terminal("in_service", "remove", "removed"),
        _terminal("faulty", "repair", "installed"),
        _terminal("faulty", "remove", "removed"),
        _terminal("removed", "install", "installed"),
    ],
)
"""DOMAIN §2.3. After a repair a terminal is tested again before it serves."""


def in_service_after(event: str, *, before: bool) -> bool:
    """Whether a terminal's silence matters after a step: from when it is put in service until it is removed.

    So also while it is faulty or under repair: people may have passed it, and it may hold their taps.
    """
    return event == "put_in_service" or (before and event != "remove")


TEMPORARY_CARD_DAYS_MAX = 30
"""A temporary card is lent for so long at most (DOMAIN §2.3)."""
