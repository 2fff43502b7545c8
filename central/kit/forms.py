"""Forms as data: what is asked, what was typed kept, each refusal beside the input that it is about.

A page's form is a `Form` of `Input`s. `submit` reads what was posted into the same model that the JSON API takes,
acts, and answers: on to the next page, or the form again with everything typed and a sentence at each wrong input. A
form with a `look` is shown a second time, with what it will do, before it acts: for what cannot be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.responses import RedirectResponse, Response

from central.kit.errors import AppError, Conflict, Invalid, NotFound
from central.kit.sentences import sentence
from central.kit.web import checked_form, flash, page, translate

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from central.kit.db import WriteSession

SURE = "sure"
"""The field by which the second look says yes."""
AGAIN = "again"
"""The field by which the second look goes back to the form."""
INPUT_CHARS_MAX = 2_000
Kind = Literal["text", "search", "tel", "date", "datetime-local", "number", "won", "decimal", "select", "area", "check"]
Blank = Literal["out", "null", "text"]
Given = TypeVar("Given", bound=BaseModel)
FormSent = Depends(checked_form)
"""Dependency of each route that a form is sent to."""


def say(message: str) -> str:
    """Mark a sentence for translation; the form translates it when it is shown."""
    return message


@dataclass(frozen=True, slots=True)
class Input:
    """One input. `label` and `hint` are English sentences; `options` and `suggestions` are words already translated."""

    name: str
    label: str
    kind: Kind = "text"
    needed: bool = False
    hint: str = ""
    chars_max: int = 200
    options: Sequence[tuple[str, str]] = ()
    suggestions: Sequence[tuple[str, str]] = ()
    """Offered while typing: value and what it is; anything else may be typed."""
    blank: Blank = "out"
    """What an empty input means: not given, null (take away what is there), or an empty text."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form's page, in words of the asker's language but for its inputs."""

    title: str
    inputs: Sequence[Input]
    action: str
    """On the button."""
    crumbs: Sequence[tuple[str, str]]
    """Address and name of the pages above; the last is where "cancel" leads."""
    notes: Sequence[str] = ()
    danger: bool = False


@dataclass(frozen=True, slots=True)
class Filled:
    """What a form holds: what was typed, and what is wrong with it, by input."""

    typed: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)
    refusal: str = ""
    """Of the form as a whole."""
    status: int = HTTPStatus.OK


async def posted(request: Request) -> dict[str, str]:
    """Read the texts of a posted form; files and what is too long for any input are refused."""
    form = await request.form()
    found = {}
    for name, value in form.items():
        if not isinstance(value, str) or len(value) > INPUT_CHARS_MAX:
            raise Invalid("The form holds a file or a text that is too long. Open the page again and fill it in anew.")
        found[name] = value
    return found


Posted = Annotated[dict[str, str], Depends(posted)]


def read(inputs: Sequence[Input], typed: Mapping[str, str], model: type[Given]) -> tuple[Given | None, dict[str, str]]:
    """Read typed texts as a request body; return it, or what is wrong by input (`""`: the form as a whole)."""
    wrong: dict[str, str] = {}
    values: dict[str, Any] = {}
    for one in inputs:
        text = typed.get(one.name, "").strip()
        if text:
            values[one.name] = _plain(one, text)
        elif one.kind == "check":
            values[one.name] = False
        elif one.needed:
            wrong[one.name] = say("This is needed.")
        elif one.blank != "out":
            values[one.name] = None if one.blank == "null" else ""
    try:
        given = model.model_validate(values)
    except ValidationError as error:
        names = {one.name for one in inputs}
        for found in error.errors():
            name = str(found["loc"][0]) if found["loc"] else ""
            wrong.setdefault(name if name in names else "", _reason(found))
        return None, wrong
    return (None, wrong) if wrong else (given, {})


def _plain(one: Input, text: str) -> str:
    return text.replace(",", "").replace(" ", "") if one.kind in {"won", "number", "decimal"} else text


_REASONS = (
    ("missing", say("This is needed."), ""),
    ("date_", say("Write a date like 2026-11-22."), ""),
    ("datetime_", say("Write a date like 2026-11-22."), ""),
    ("int_", say("Write a number."), ""),
    ("float_", say("Write a number."), ""),
    ("string_too_long", say("At most %(number)s characters."), "max_length"),
    ("string_too_short", say("At least %(number)s characters."), "min_length"),
    ("greater_than_equal", say("At least %(number)s."), "ge"),
    ("less_than_equal", say("At most %(number)s."), "le"),
)
"""What the model found, by the beginning of its kind; the sentence; the limit that it names."""


def _reason(found: ErrorDetails) -> str:
    for kind, words, limit in _REASONS:
        if found["type"].startswith(kind):
            return sentence(words, number=f"{found['ctx'][limit]:,}") if limit else words
    return say("This cannot be used: check it.")


def show(request: Request, form: Form, filled: Filled | None = None, **more: Any) -> Response:  # noqa: ANN401 - context
    """Show a form."""
    what = filled or Filled()
    return page(request, "kit/form.html", status=what.status, form=form, filled=what, **more)


@dataclass(frozen=True, slots=True)
class Second:
    """What is seen before an act that cannot be undone, or moves much: the question, in a line each what will be."""

    question: str
    lines: Sequence[str]
    action: str
    for_good: bool = True


def submit(
    request: Request,
    session: WriteSession,
    form: Form,
    typed: Mapping[str, str],
    model: type[Given],
    act: Callable[[Given], str],
    *,
    done: str,
    look: Callable[[Given], Second | None] | None = None,
) -> Response:
    """Act on a posted form: `act` writes and returns the address to go on to, where `done` (English) is said.

    `look` says what is to be seen a second time before that, or None when nothing is. A refusal undoes whatever `act`
    wrote, and the form is shown with it.
    """
    given, wrong = read(form.inputs, typed, model)
    if given is None:
        whole = wrong.pop("", "")
        return show(request, form, Filled(typed, wrong, whole, HTTPStatus.UNPROCESSABLE_ENTITY))
    if look is not None and typed.get(AGAIN):
        return show(request, form, Filled(typed))
    try:
        second = look(given) if look is not None and not typed.get(SURE) else None
        if second is not None:
            return _second(request, form, typed, second)
        target = act(given)
    except (Invalid, Conflict, NotFound) as refusal:
        session.rollback()
        return show(request, form, refused(form, typed, refusal))
    return on(request, target, done)


def _second(request: Request, form: Form, typed: Mapping[str, str], second: Second) -> Response:
    kept = {one.name: typed[one.name] for one in form.inputs if typed.get(one.name)}
    return page(request, "kit/second_look.html", form=form, second=second, kept=kept, sure=SURE, again=AGAIN)


def refused(form: Form, typed: Mapping[str, str], refusal: AppError) -> Filled:
    """Keep what was typed and put the refusal beside its input, when it names one of the form's."""
    name = refusal.extensions.get("field")
    if any(one.name == name for one in form.inputs):
        return Filled(typed, {str(name): refusal.message}, "", refusal.status)
    return Filled(typed, {}, refusal.message, refusal.status)


def on(request: Request, target: str, done: str) -> Response:
    """Go on to another page and say there what was done."""
    answer = RedirectResponse(target, status_code=HTTPStatus.SEE_OTHER)
    flash(request, answer, "done", translate(request, done))
    return answer


def with_suggestions(form: Form, **offered: Sequence[tuple[str, str]]) -> Form:
    """Return the form with suggestions at some inputs."""
    inputs = [replace(one, suggestions=offered[one.name]) if one.name in offered else one for one in form.inputs]
    return replace(form, inputs=inputs)


def typed_of(row: object, inputs: Sequence[Input]) -> dict[str, str]:
    """Return what a form of a row's own facts holds before anybody typed."""
    values = {one.name: getattr(row, one.name, None) for one in inputs}
    return {name: str(value) for name, value in values.items() if value is not None}
