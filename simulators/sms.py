"""A gateway that speaks SOLAPI's message API on a loopback port and keeps what it took, with faults as options.

`python -m simulators.sms PORT` prints each text: for a demo without a carrier.
"""

from __future__ import annotations

import hmac
import json
import re
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self, cast

from central.kit.clock import SystemClock
from central.kit.sms import SEND_PATH, TAKEN, authorization

if TYPE_CHECKING:
    from collections.abc import Callable

    from central.kit.clock import Clock

KEY, SECRET, SENDER = "NCSSIMULATED", "made-up secret", "021234567"
SKEW_MAX = timedelta(minutes=15)
BODY_BYTES_MAX = 10_000
STOP_S_MAX = 10.0
_AUTHORIZATION = re.compile(r"HMAC-SHA256 apiKey=(\S+), date=(\S+), salt=(\S+), signature=(\S+)")


@dataclass
class Moods:
    """How the gateway behaves; tests change it between texts."""

    busy: int = 0
    """So many of the next requests are answered 429."""
    broken: int = 0
    """So many of the next requests are answered 500, in HTML, as a proxy does."""
    hang_up_after_taking: int = 0
    """So many of the next texts are taken, and then the connection ends before the answer."""
    without_balance: bool = False
    unknown: set[str] = field(default_factory=set)
    """Numbers that are refused for good."""


@dataclass(frozen=True)
class Text:
    """A text that was taken."""

    to: str
    text: str


class SmsGateway:
    """Takes texts from one account. Use as a context manager; `texts` are what it took, oldest first."""

    def __init__(
        self, *, clock: Clock | None = None, port: int = 0, show: Callable[[Text], None] | None = None
    ) -> None:
        self.texts: list[Text] = []
        self.moods = Moods()
        self.clock = clock or SystemClock()
        self.show = show
        self._server = _Server(("127.0.0.1", port), _Call)
        self._server.owner = self
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sms", daemon=True)

    @property
    def url(self) -> str:
        """The address as `CCS_SMS_URL` takes it."""
        return f"http://{KEY}:{SECRET.replace(' ', '%20')}@127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Start; it listens since it was made."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(STOP_S_MAX)

    def codes(self, number: str) -> list[str]:
        """Every six-digit code in the texts to a number, oldest first."""
        return [code for text in self.texts if text.to == number for code in re.findall(r"\b\d{6}\b", text.text)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: SmsGateway


class _Call(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing on standard error."""

    def do_POST(self) -> None:
        owner = cast("_Server", self.server).owner
        length = min(int(self.headers.get("content-length") or 0), BODY_BYTES_MAX)
        body = self.rfile.read(length)
        refusal = self._refusal(owner)
        if refusal is not None:
            self._answer(*refusal)
            return
        try:
            message = json.loads(body)["message"]
            taken = Text(str(message["to"]), str(message["text"]))
            sender = str(message["from"])
        except (ValueError, KeyError, TypeError):
            self._answer(400, {"errorCode": "ValidationError", "errorMessage": "message is not readable"})
            return
        if sender != SENDER or taken.to in owner.moods.unknown or not taken.to.isdecimal():
            self._answer(400, {"errorCode": "ValidationError", "errorMessage": "to or from is no number of ours"})
            return
        self._take(owner, taken)

    def _refusal(self, owner: SmsGateway) -> tuple[int, dict[str, Any] | bytes] | None:
        moods = owner.moods
        if moods.broken > 0:
            moods.broken -= 1
            return 500, b"<html>upstream failed</html>"
        if moods.busy > 0:
            moods.busy -= 1
            return 429, {"errorCode": "TooManyRequests", "errorMessage": "slow down"}
        if self.path != SEND_PATH:
            return 404, {"errorCode": "NotFound", "errorMessage": "no such address"}
        return self._not_let_in(owner)

    def _not_let_in(self, owner: SmsGateway) -> tuple[int, dict[str, Any]] | None:
        found = _AUTHORIZATION.fullmatch(self.headers.get("authorization", ""))
        if found is None or found[1] != KEY:
            return 403, {"errorCode": "InvalidAPIKey", "errorMessage": "the key is unknown"}
        if not hmac.compare_digest(found[0], authorization(KEY, SECRET, date=found[2], salt=found[3])):
            return 403, {"errorCode": "SignatureDoesNotMatch", "errorMessage": "the signature is not right"}
        said = datetime.strptime(found[2], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if abs(owner.clock.now() - said) > SKEW_MAX:
            return 403, {"errorCode": "RequestTimeTooSkewed", "errorMessage": "the clock is off"}
        if owner.moods.without_balance:
            return 400, {"errorCode": "NotEnoughBalance", "errorMessage": "charge the account"}
        return None

    def _take(self, owner: SmsGateway, text: Text) -> None:
        owner.texts.append(text)
        if owner.show is not None:
            owner.show(text)
        if owner.moods.hang_up_after_taking > 0:
            owner.moods.hang_up_after_taking -= 1
            self.close_connection = True
            self.connection.close()
            return
        self._answer(200, {"to": text.to, "from": SENDER, "statusCode": TAKEN, "statusMessage": "taken"})

    def _answer(self, status: int, body: dict[str, Any] | bytes) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    """Take texts and print them until told to stop."""
    with SmsGateway(port=int(sys.argv[1]), show=lambda text: print(f"{text.to}: {text.text}", flush=True)) as gateway:
        print(f"CCS_SMS_URL={gateway.url} CCS_SMS_FROM={SENDER}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
