"""The hand page's application: who there is, which readers there are, hold a card, and where the story stands.

Pretend cards open real terminals here, so it answers only to loopback names and to its own pages' requests.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from central.registry.rules import trades
from simulators.player import NobodyAnswers
from simulators.site_day import READERS, clock_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from simulators.people import CardInHand, Person, Roll
    from simulators.player import DayPlayer, Held
    from simulators.sms import SmsGateway

FOLDER = Path(__file__).parent
REQUEST_BYTES_MAX = 4096
START_S_MAX = 10.0
RECENT_SHOWN = 8
TEXTS_SHOWN = 5
STRAY = "stray"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Story(Protocol):
    """What the page shows of the day being played."""

    player: DayPlayer
    roll: Roll
    links: dict[str, str]
    """Names to addresses: `headcount`, `worker` (their own view), and each terminal's code to its screen."""
    gateway: SmsGateway
    """Takes the texts to workers' telephones."""


@dataclass(frozen=True)
class _Choice:
    """A card that the page offers."""

    key: str
    card: CardInHand
    person: Person | None


def _choices(roll: Roll) -> dict[str, _Choice]:
    found: dict[str, _Choice] = {}
    for person in roll.people:
        found[person.card.identity.hex()] = _Choice(person.card.identity.hex(), person.card, person)
        if person.temporary:
            found[person.temporary.identity.hex()] = _Choice(person.temporary.identity.hex(), person.temporary, person)
    found[STRAY] = _Choice(STRAY, roll.stray, None)
    return found


def _people(choices: dict[str, _Choice], roll: Roll) -> list[dict[str, str]]:
    firms = {employer.key: employer.name for employer in roll.employers}
    rows = []
    for choice in choices.values():
        person = choice.person
        rows.append(
            {
                "key": choice.key,
                "number": person.number if person else "",
                "name": person.name if person else "",
                "employer": firms[person.employer] if person else "",
                "trade": trades()[person.trade].ko if person else "",
                "language": person.language if person else "",
                "role": person.role if person else STRAY,
                "method": choice.card.method,
            }
        )
    return rows


def _held(held: Held, reader: str) -> dict[str, Any]:
    return {
        "reader": reader,
        "shown": held.answer.shown,
        "decision": held.answer.decision,
        "text": held.answer.text,
        "seq": held.answer.seq,
        "took_ms": round(held.took_ms, 1),
    }


class _HandPage:
    """The handlers, over a running demo."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._choices = _choices(story.roll)
        self._readers = {reader.key for reader in READERS}
        self._telephones = {person.telephone: person.name for person in story.roll.people}

    async def page(self, _: Request) -> Response:
        return FileResponse(FOLDER / "hold.html", headers=HEADERS)

    async def site(self, _: Request) -> Response:
        readers = [
            {"key": reader.key, "terminal": reader.terminal, "name": reader.name, "direction": reader.direction}
            for reader in READERS
        ]
        people = _people(self._choices, self._story.roll)
        return _answer({"people": people, "readers": readers, "links": self._story.links})

    async def state(self, _: Request) -> Response:
        player = self._story.player
        now = player.log.answer()
        latest = list(player.log.recent)[: -RECENT_SHOWN - 1 : -1]
        return _answer(
            {
                "clock": clock_text(player.story_s),
                "day": player.log.day,
                "speed": player.speed,
                "finished": player.finished.is_set(),
                "played": player.log.next_index,
                "planned": len(player.day.taps),
                "inside": len(now.inside),
                "unknown_cards": now.unknown_cards,
                "texts": self._texts(),
                "recent": [_recent(self._choices, tap.card, tap.reader, tap.shown, tap.decision) for tap in latest],
            }
        )

    def _texts(self) -> list[dict[str, str]]:
        """List the newest texts, with the name of whom they went to."""
        latest = self._story.gateway.texts[: -TEXTS_SHOWN - 1 : -1]
        return [{"to": self._telephones.get(one.to, one.to), "text": one.text} for one in latest]

    async def hold(self, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return _answer({"error": "send JSON from this page"}, 415)
        raw = await request.body()
        if len(raw) > REQUEST_BYTES_MAX:
            return _answer({"error": f"send at most {REQUEST_BYTES_MAX} bytes"}, 413)
        try:
            wanted = json.loads(raw)
            choice, reader = self._choices[wanted["card"]], str(wanted["reader"])
        except (ValueError, KeyError, TypeError):
            return _answer({"error": "choose one of the cards that /api/site lists"}, 422)
        if reader not in self._readers:
            return _answer({"error": f"there is no reader {reader!r}"}, 422)
        try:
            held = await run_in_threadpool(self._story.player.hold, reader, choice.card)
        except NobodyAnswers as exc:
            return _answer({"error": str(exc)}, 503)
        return _answer(_held(held, reader))


def _answer(body: object, status: int = 200) -> Response:
    return JSONResponse(body, status_code=status, headers=HEADERS)


def build(story: Story) -> Starlette:
    """Build the application over a running demo."""
    handlers = _HandPage(story)
    return Starlette(
        routes=[
            Route("/", handlers.page),
            Route("/api/site", handlers.site),
            Route("/api/state", handlers.state),
            Route("/api/hold", handlers.hold, methods=["POST"]),
            Mount("/static", StaticFiles(directory=FOLDER / "static")),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )


def _recent(choices: dict[str, _Choice], card: str, reader: str, shown: str, decision: str) -> dict[str, str]:
    choice = choices.get(card)
    name = choice.person.name if choice and choice.person else ""
    return {"name": name, "reader": reader, "shown": shown, "decision": decision}


class PageServer:
    """The application on a loopback port, in a thread of the demo's process."""

    def __init__(self, story: Story, port: int) -> None:
        config = uvicorn.Config(
            build(story), host="127.0.0.1", port=port, log_level="warning", access_log=False, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="hand-page", daemon=True)

    def _serve(self) -> None:
        # uvicorn takes the process's signals for itself only in the main thread; this is another one.
        self._server.run()

    def start(self, wait_until: Callable[..., None]) -> None:
        """Serve, and wait until the port accepts."""
        self._thread.start()
        wait_until(lambda: self._server.started, what="the hand page", timeout_s=START_S_MAX)

    def stop(self) -> None:
        """Stop serving and wait for the thread."""
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(START_S_MAX)
