"""`Idempotency-Key` on writes: the same key and body get the same answer again, another body is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse

from central.identity import repository
from central.identity.guards import CurrentActor
from central.kit.errors import AppError

if TYPE_CHECKING:
    from datetime import datetime

    from central.kit.db import WriteSession

KEY_CHARS_MAX = 100
REPLAYED_HEADER = "Idempotent-Replayed"


class KeyReused(AppError):
    """The key was used for another request."""

    status = 409
    code = "idempotency_key_reused"


class Once:
    """One write of one actor, perhaps named. The name is claimed in the write's own transaction."""

    def __init__(
        self,
        request: Request,
        actor: CurrentActor,
        idempotency_key: Annotated[
            str | None,
            Header(
                max_length=KEY_CHARS_MAX,
                description="Your name for this write. A repetition with the same body gets the same answer for 24 h.",
            ),
        ] = None,
    ) -> None:
        self._actor = actor.key
        self._key = idempotency_key
        self._what = f"{request.method} {request.url.path}\n"

    def write(
        self,
        session: WriteSession,
        body: BaseModel,
        work: Callable[[], BaseModel],
        *,
        now: datetime,
        status: int = 201,
    ) -> JSONResponse:
        """Do the work and keep its answer, or give the kept one; raise `KeyReused` for another body."""
        if self._key is None:
            return JSONResponse(work().model_dump(mode="json"), status_code=status)
        fingerprint = hashlib.sha256((self._what + body.model_dump_json()).encode()).digest()
        kept = repository.claim_write(session, actor=self._actor, key=self._key, fingerprint=fingerprint, now=now)
        if kept is not None:
            if kept.fingerprint != fingerprint:
                raise KeyReused("this Idempotency-Key was used for another request: use a new key for a new write")
            return JSONResponse(kept.answer, status_code=kept.status, headers={REPLAYED_HEADER: "true"})
        answer = work().model_dump(mode="json")
        repository.keep_answer(session, actor=self._actor, key=self._key, status=status, answer=answer)
        return JSONResponse(answer, status_code=status)


WriteOnce = Annotated[Once, Depends(Once)]
"""An endpoint's parameter: run the write through `write`."""
