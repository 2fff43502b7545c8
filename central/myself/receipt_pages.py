"""The public check of a receipt: it reads a key and nothing else, so nobody learns more than that it is genuine."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Request
from pydantic import BaseModel
from starlette.responses import Response

from central.identity import attempts
from central.identity.asking import engine_of, origin_of, seal_of
from central.identity.sessions import ADDRESS_CHARS_MAX
from central.identity.throttle import TooManyAttempts
from central.kit.db import Reading, read_session
from central.kit.errors import Invalid
from central.kit.web import checked_form, translate
from central.myself import receipt_keys
from central.myself.asking import Now, show, spoken
from central.myself.receipt_keys import Verdict, Verified
from central.myself.receipts import TEXT_CHARS_MAX
from central.myself.rules import TYPED_CHARS_MAX, worker_number
from central.myself.sign_in_pages import SAID

CHECKS_MAX = 5
"""Numbers tried against one receipt from anywhere, and"""
CHECKS_AN_ADDRESS_MAX = 60
"""against any from one address, within `throttle.WINDOW`."""

router = APIRouter(include_in_schema=False, dependencies=[Depends(spoken)])
key_router = APIRouter(prefix="/api/v1", tags=["receipts"])
Text = Annotated[str, Path(max_length=TEXT_CHARS_MAX)]


def _(message: str) -> str:
    return message


YES, NO = _("Yes: the receipt is of the worker with this number."), _("No: the receipt is of somebody else.")


@router.get("/receipts/{text}")
def check(request: Request, text: Text, session: Reading) -> Response:
    """Say whether a receipt is genuine."""
    return _verdict(request, text, receipt_keys.verify(session, text))


@router.post("/receipts/{text}", dependencies=[Depends(checked_form)])
def check_number(
    request: Request, text: Text, number: Annotated[str, Form(max_length=TYPED_CHARS_MAX)], now: Now
) -> Response:
    """Say whether a genuine receipt is of the worker with a number: yes or no, a few times."""
    with read_session(engine_of(request)) as session:
        found = receipt_keys.verify(session, text)
    if found.receipt is None:
        return _verdict(request, text, found)
    address = origin_of(request).address[:ADDRESS_CHARS_MAX]
    limits = {
        f"receipt:{found.receipt.journal_id}-{found.receipt.seq}": CHECKS_MAX,
        f"receipts-from:{address}": CHECKS_AN_ADDRESS_MAX,
    }
    try:
        wanted = worker_number(number)
        attempts.count(engine_of(request), limits, now=now)
    except (Invalid, TooManyAttempts) as refusal:
        said = translate(request, SAID[refusal.code])
        return _verdict(request, text, found, status=refusal.status, answer=said)
    yes = receipt_keys.belongs(seal_of(request), found.receipt, wanted)
    return _verdict(request, text, found, answer=translate(request, YES if yes else NO), belongs=yes)


def _verdict(
    request: Request, text: str, found: Verified, *, status: int = 200, answer: str = "", belongs: bool = False
) -> Response:
    return show(
        request,
        "verdict.html",
        status=status,
        text=text if found.verdict is Verdict.GENUINE else "",
        verdict=found.verdict.value,
        said=found.receipt,
        tap_site_name="",
        answer=answer,
        belongs=belongs,
    )


class KeyView(BaseModel):
    """The public half of a key. `withdrawn_at`: believe nothing that it signed."""

    id: int
    public_key: str
    made_at: datetime
    retired_at: datetime | None
    withdrawn_at: datetime | None


class Keys(BaseModel):
    """Every key that ever signed, newest first."""

    items: list[KeyView]


_EXAMPLE = {
    "items": [
        {
            "id": 1,
            "public_key": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "made_at": "2026-11-22T00:41:04Z",
            "retired_at": None,
            "withdrawn_at": None,
        }
    ]
}


@key_router.get("/receipt-keys", responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}})
def list_keys(session: Reading) -> Keys:
    """Give the public keys, so that anyone may check receipts with a program of their own. Asks for no sign-in.

    A key is 32 bytes in URL-safe base64 without padding, as in RFC 8037.
    """
    found = [
        KeyView(
            id=row.id or 0,
            public_key=base64.urlsafe_b64encode(row.public_key).rstrip(b"=").decode(),
            made_at=row.made_at,
            retired_at=row.retired_at,
            withdrawn_at=row.withdrawn_at,
        )
        for row in receipt_keys.keys(session)
    ]
    return Keys(items=found)
