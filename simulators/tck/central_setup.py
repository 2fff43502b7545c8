"""From what an operator asks for to an examination of central: connections, API, people."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulators.central_api import ApiRefused, CentralApi
from simulators.tck.central_bench import CentralBench, CentralDoor, CentralPatience, Person, prepare
from simulators.tck.central_checks import CENTRAL_CHECKS
from simulators.tck.central_kit import examine_central
from simulators.tck.checks import Ledger, Report, wanted_numbers
from simulators.tck.keys import load_public
from simulators.tck.played_terminal import PlayedTerminal
from simulators.tck.schema import Schemas

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class CentralWish:
    """What to examine. `codes`: two registered terminals, and one that is not."""

    url: str
    site: str
    codes: tuple[str, str, str]
    api: str = ""
    token: str = ""
    prepare: bool = False
    cards: tuple[str, ...] = ()
    """`TOKEN=WORKER_ID` each."""
    public_key: Path | None = None
    crash: Callable[[], None] | None = None
    """Kills central and its database, and starts them again."""
    credentials: tuple[str, str] | None = None
    only: tuple[str, ...] = ()
    patience: CentralPatience = field(default_factory=CentralPatience)


def examine_wish(wish: CentralWish, tell: Callable[[str], None]) -> Report:
    """Examine; raise `ValueError`, `OSError` or `RuntimeError` when it cannot begin."""
    numbers = wanted_numbers(CENTRAL_CHECKS, wish.only)
    key = load_public(wish.public_key) if wish.public_key else None
    if (wish.prepare or wish.cards) and not wish.api:
        raise ValueError("--prepare and --card name workers by central's API: give --api and --token")
    with ExitStack() as stack:
        api = stack.enter_context(CentralApi(wish.api, wish.token)) if wish.api else None
        people = _people(wish, api)
        first, second, stranger = (
            stack.enter_context(PlayedTerminal(wish.url, wish.site, code, credentials=wish.credentials))
            for code in wish.codes
        )
        bench = CentralBench(
            first,
            second,
            stranger,
            Ledger(CENTRAL_CHECKS),
            Schemas(),
            people,
            door=CentralDoor(api, wish.site) if api is not None else None,
            public_key=key,
            crash=wish.crash,
            patience=wish.patience,
            tell=tell,
        )
        return examine_central(bench, numbers=numbers)


def _people(wish: CentralWish, api: CentralApi | None) -> list[Person]:
    if api is not None and wish.prepare:
        try:
            return prepare(api, wish.site, list(wish.codes[:2]))
        except ApiRefused as exc:
            message = f"{exc}; the token needs the rights to register, or register by hand and give --card"
            raise ValueError(message) from exc
    people = []
    for one in wish.cards:
        token, _, number = one.partition("=")
        if not number.isdigit():
            message = f"{one!r} is not TOKEN=WORKER_ID, for example 8a0cf1d2…=17"
            raise ValueError(message)
        people.append(Person(token, int(number)))
    return people
