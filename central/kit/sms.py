"""Text messages that leave: one port, a Korean gateway's HTTP API behind it. "Not now" and "never" are told apart.

Korean carriers pass on what CP949 can write, 90 bytes of it; anything else arrives as question marks. So texts are
short, in Korean and plain Latin letters, and lead to a page in the reader's language.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

import httpx

from central.kit.clock import Clock, SystemClock
from central.kit.config import BadSetting
from central.kit.outbox import SendDelayed, SendRefused, send_later

if TYPE_CHECKING:
    from datetime import datetime

    from central.kit.config import Settings
    from central.kit.db import WriteSession
    from central.kit.outbox import Message
    from central.kit.sealed import Seal

SMS = "sms"
"""The outbox's channel."""
ANSWER_S_MAX = 10.0
TEXT_BYTES_MAX = 90
"""In CP949. A longer text is charged and treated as another kind of message."""
SEND_PATH = "/messages/v4/send"
TAKEN = "2000"
"""The gateway's code for a message that it passes on."""
OURS_TO_MEND = frozenset({"InvalidAPIKey", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "NotEnoughBalance"})
"""Refusals that are about us, not about the message: it goes once an operator has put that right."""
_DIGITS_MIN = 9


class Sms(Protocol):
    """Something that takes a text message and passes it on."""

    def send(self, message: Message) -> None:
        """Send one text: `recipient` is a telephone number. Raises `SendRefused` or `SendDelayed`. Blocks."""
        ...


@dataclass(frozen=True)
class HttpSms:
    """A gateway that speaks SOLAPI's message API, version 4: JSON, each request signed with HMAC-SHA256."""

    base_url: str
    key: str
    secret: str = field(repr=False)
    sender: str
    """The number that texts come from; carriers pass on registered ones only."""
    clock: Clock = field(default_factory=SystemClock, repr=False)
    answer_s_max: float = ANSWER_S_MAX

    def send(self, message: Message) -> None:
        """Send one text. The gateway knows no repetition: one of which nobody knows whether it went may come twice."""
        body = {"message": {"to": dialled(message.recipient), "from": self.sender, "text": message.body}}
        try:
            answer = httpx.post(self.base_url + SEND_PATH, json=body, headers=self._signed(), timeout=self.answer_s_max)
        except httpx.HTTPError as trouble:
            raise SendDelayed(f"{self.base_url} did not answer: {trouble}") from trouble
        _judge(answer)

    def _signed(self) -> dict[str, str]:
        date, salt = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"), secrets.token_hex(16)
        return {"Authorization": authorization(self.key, self.secret, date=date, salt=salt)}


def authorization(key: str, secret: str, *, date: str, salt: str) -> str:
    """Return the header that proves whose request it is."""
    signature = hmac.new(secret.encode(), f"{date}{salt}".encode(), hashlib.sha256).hexdigest()
    return f"HMAC-SHA256 apiKey={key}, date={date}, salt={salt}, signature={signature}"


def dialled(number: str) -> str:
    """Write a telephone number as the gateway takes it: digits, a Korean one with its leading zero."""
    digits = "".join(mark for mark in number if mark.isascii() and mark.isdigit())
    if number.strip().startswith("+82") or (digits.startswith("82") and len(digits) > _DIGITS_MIN + 2):
        digits = "0" + digits.removeprefix("82").removeprefix("0")
    if len(digits) < _DIGITS_MIN:
        raise SendRefused("the telephone number is too short to be dialled: correct it at the worker")
    return digits


@dataclass(frozen=True, slots=True)
class Texts:
    """Writes texts with the act that they tell of, where a gateway is set up; elsewhere it writes none."""

    seal: Seal
    go_out: bool

    def put(self, session: WriteSession, *, to: str, text: str, now: datetime, useless_at: datetime) -> None:
        """Have a text sent once the transaction is committed, until `useless_at` at the latest."""
        if self.go_out:
            given = {"channel": SMS, "recipient": to, "subject": "", "body": text}
            send_later(session, self.seal, **given, now=now, useless_at=useless_at)


def fits(text: str) -> bool:
    """Whether a text arrives as it is written, as one message."""
    try:
        return len(text.encode("cp949")) <= TEXT_BYTES_MAX
    except UnicodeEncodeError:
        return False


def _judge(answer: httpx.Response) -> None:
    """Pass for a message that was taken, or say whether to try again."""
    told = _body(answer)
    code = str(told.get("errorCode") or told.get("statusCode") or "")
    words = str(told.get("errorMessage") or told.get("statusMessage") or "no reason was given")
    said = f"{answer.status_code} {code} {words}"
    if answer.is_success and code == TAKEN:
        return
    later = answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.is_server_error or code in OURS_TO_MEND
    if later or not code:
        raise SendDelayed(said)
    raise SendRefused(said)


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def sms_of(settings: Settings, *, clock: Clock | None = None) -> Sms | None:
    """Make the installation's gateway, or None when it has none. Raises `BadSetting` for one that nobody can use."""
    if not settings.sms_url:
        return None
    parts = urlsplit(settings.sms_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadSetting(f"CCS_SMS_URL starts with {parts.scheme!r}: expected https://KEY:SECRET@host")
    if not parts.username or not parts.password:
        raise BadSetting("CCS_SMS_URL names no key and secret: expected https://KEY:SECRET@host")
    if not settings.sms_from.isdecimal():
        raise BadSetting("CCS_SMS_FROM is not set: give the registered number that texts come from, digits only")
    port = f":{parts.port}" if parts.port else ""
    base_url = f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"
    key, secret = unquote(parts.username), unquote(parts.password)
    return HttpSms(base_url, key, secret, settings.sms_from, clock or SystemClock())
