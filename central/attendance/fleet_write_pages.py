"""Pages that write of terminals: a new one, and each step of a terminal's life."""

# ruff: noqa: FAST003, PLR0917 - the site guard reads {code}; FastAPI's dependencies are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from central.attendance import commissioning
from central.attendance import fleet_wording as words
from central.attendance.wording import word
from central.identity.guards import CurrentActor, SiteRef, site_guard
from central.identity.permissions import Permission
from central.kit import i18n
from central.kit.db import WriteSession
from central.kit.forms import Form, FormSent, Input, Posted, Second, say, show, submit
from central.kit.web import language_of
from central.registry import terminals
from central.registry.schemas import TerminalGiven
from central.registry.sessions import confined_writing
from central.registry.states import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Sequence

router = APIRouter(include_in_schema=False)

TerminalWrite = Annotated[SiteRef, Depends(site_guard(Permission.REGISTRY_TERMINAL_WRITE))]
TerminalWriting = Annotated[WriteSession, Depends(confined_writing(Permission.REGISTRY_TERMINAL_WRITE))]
TerminalCode = Annotated[str, Path(max_length=40)]
WAYS = {
    "in": ("in",),
    "out": ("out",),
    "in_out": ("in", "out"),
    "tap": ("tap",),
    "muster": ("muster",),
}
"""What a terminal's readers are for, in order."""


class TerminalEntered(TerminalGiven):
    """A terminal as the form gives it."""

    ways: str = Field(pattern="^(in|out|in_out|tap|muster)$")


class Noted(BaseModel):
    """A step's note."""

    note: str = Field(default="", max_length=200)


def new_form(language: str, site: SiteRef) -> Form:
    """Make the form for a new terminal."""
    ways = [(code, word(language, words.WAYS, code)) for code in WAYS]
    inputs = (
        Input(
            "code",
            say("Code"),
            needed=True,
            chars_max=40,
            hint=say("Small letters, digits and hyphens, like gate-03. It stands in the terminal's own file."),
        ),
        Input("name", say("Name at the gate"), chars_max=100),
        Input("zone", say("Zone or gate"), chars_max=40),
        Input("ways", say("Its readers record"), "select", needed=True, options=ways),
    )
    say_ = i18n.gettext
    return Form(
        say_(language, "New terminal"),
        inputs,
        say_(language, "Register"),
        [("/terminals", say_(language, "Terminals")), (f"/sites/{site.code}", site.name)],
        notes=[say_(language, "It begins as registered. Nothing is expected of it before it is in service.")],
    )


def step_form(language: str, site: SiteRef, *, label: str, code: str, event: str) -> Form:
    """Make the form for a step."""
    hint = words.STEP_HINTS.get(event, "")
    place = f"/sites/{site.code}/terminals/{code}"
    title = f"{word(language, words.STEPS, event)}: {label}"
    crumbs: Sequence[tuple[str, str]] = [("/terminals", i18n.gettext(language, "Terminals")), (place, label)]
    inputs = (Input("note", say("Note"), chars_max=200, hint=hint),)
    return Form(title, inputs, word(language, words.STEPS, event), crumbs, danger=event == "remove")


@router.get("/sites/{code}/terminals/new")
def new_terminal(request: Request, site: TerminalWrite) -> Response:
    """Show the form for a new terminal."""
    return show(request, new_form(language_of(request), site))


@router.post("/sites/{code}/terminals/new", dependencies=[FormSent])
def register_terminal(
    request: Request, site: TerminalWrite, session: TerminalWriting, actor: CurrentActor, typed: Posted
) -> Response:
    """Register a terminal, at the beginning of its life."""

    def act(given: TerminalEntered) -> str:
        readers = [{"name": f"r{number}", "direction": one} for number, one in enumerate(WAYS[given.ways], 1)]
        row = terminals.register_terminal(
            session,
            site_id=site.id,
            code=given.code,
            name=given.name,
            zone=given.zone,
            readers=readers,
            actor=actor.key,
            now=request.app.state.clock.now(),
        )
        return f"/sites/{site.code}/terminals/{row.code}"

    form = new_form(language_of(request), site)
    done = say("The terminal is registered. Install it, test it, then put it in service.")
    return submit(request, session, form, typed, TerminalEntered, act, done=done)


@router.get("/sites/{code}/terminals/{terminal}/steps/{event}")
def ask_step(
    request: Request, terminal: TerminalCode, event: TerminalCode, site: TerminalWrite, session: TerminalWriting
) -> Response:
    """Ask for the note that goes with a step that is possible now."""
    row = terminals.terminal(session, site_id=site.id, code=terminal)
    TERMINAL.step(row.state, event)
    return show(request, step_form(language_of(request), site, label=row.name or row.code, code=row.code, event=event))


@router.post("/sites/{code}/terminals/{terminal}/steps/{event}", dependencies=[FormSent])
def take_step(
    request: Request,
    terminal: TerminalCode,
    event: TerminalCode,
    site: TerminalWrite,
    session: TerminalWriting,
    actor: CurrentActor,
    typed: Posted,
) -> Response:
    """Move a terminal along its life; taking one away is looked at twice."""
    row = terminals.terminal(session, site_id=site.id, code=terminal)
    label, code, language = row.name or row.code, row.code, language_of(request)
    form = step_form(language, site, label=label, code=code, event=event)

    def act(given: Noted) -> str:
        now = request.app.state.clock.now()
        commissioning.step_terminal(
            session, site_id=site.id, code=code, event=event, note=given.note, actor=actor.key, now=now
        )
        return f"/sites/{site.code}/terminals/{code}"

    def removal(_: Noted) -> Second:
        line = i18n.gettext(language, "From now on its silence is no longer told, and it owes the headcount nothing.")
        return Second(form.title, [line], form.action)

    done = say("The step is on record.")
    look = removal if event == "remove" else None
    return submit(request, session, form, typed, Noted, act, done=done, look=look)
