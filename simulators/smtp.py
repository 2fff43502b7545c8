"""A mail server that speaks SMTP (RFC 5321) on a loopback port and keeps what it took, with faults as options."""

from __future__ import annotations

import email
import email.policy
import io
import re
import socketserver
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

if TYPE_CHECKING:
    from email.message import EmailMessage

LINE_BYTES_MAX = 1_000
MAIL_BYTES_MAX = 1_000_000
STOP_S_MAX = 10.0


@dataclass
class Moods:
    """How the server behaves; tests change it between mails."""

    busy: int = 0
    """So many of the next recipients are answered `451`, try again later."""
    unknown: set[str] = field(default_factory=set)
    """Recipients that are answered `550`, never."""
    hang_up_after_data: int = 0
    """So many of the next mails are taken, and then the connection ends before the answer."""


class SmtpServer:
    """Takes mail for anybody. Use as a context manager; `mails` are what it took, oldest first.

    With a `tls` context it offers STARTTLS (RFC 3207) and takes nothing before it.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.mails_in_clear = 0
        """Mails that were begun without TLS, taken or not."""
        self.mails: list[EmailMessage] = []
        self.moods = Moods()
        self._server = _Server(("127.0.0.1", 0), _Talk)
        self._server.owner = self
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="smtp", daemon=True)

    @property
    def url(self) -> str:
        """The address as `CCS_SMTP_URL` takes it."""
        return f"smtp://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Start; it listens since it was made."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(STOP_S_MAX)

    def links(self, recipient: str) -> list[str]:
        """Every link in the mails to somebody, oldest first."""
        mine = [mail for mail in self.mails if recipient in str(mail["To"])]
        return [link for mail in mine for link in re.findall(r"https?://\S+", str(mail.get_content()))]


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    owner: SmtpServer


class _Unbuffered(io.BufferedIOBase):
    """What is written goes out at once."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection = connection

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - anything with bytes in it
        self._connection.sendall(data)
        return len(data)


class _Talk(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        owner = cast("_Server", self.server).owner
        self._say(220, "simulated mail server")
        if owner.tls is not None and not self._secure(owner, owner.tls):
            return
        sender, recipients = "", list[str]()
        while line := self.rfile.readline(LINE_BYTES_MAX):
            verb, _, rest = line.decode(errors="replace").strip().partition(" ")
            match verb.upper():
                case "EHLO" | "HELO":
                    self._say(250, "at your service")
                case "MAIL":
                    sender, recipients = rest, []
                    self._say(250, "ok")
                case "RCPT":
                    self._recipient(owner.moods, rest, recipients)
                case "DATA" if sender and recipients:
                    if not self._take(owner):
                        return
                case "RSET" | "NOOP":
                    self._say(250, "ok")
                case "QUIT":
                    self._say(221, "bye")
                    return
                case _:
                    self._say(503, f"{verb} is not possible now")

    def finish(self) -> None:
        """Close what TLS was put around: the server closes its own socket only."""
        super().finish()
        self.connection.close()

    def _secure(self, owner: SmtpServer, tls: ssl.SSLContext) -> bool:
        """Talk until TLS holds; false when the other side leaves, or does not believe who this is."""
        while line := self.rfile.readline(LINE_BYTES_MAX):
            verb = line.decode(errors="replace").strip().partition(" ")[0].upper()
            if verb == "EHLO":
                self.wfile.write(b"250-at your service\r\n250 STARTTLS\r\n")
            elif verb == "STARTTLS":
                self._say(220, "go ahead")
                try:
                    self.connection = tls.wrap_socket(self.connection, server_side=True)
                except OSError:
                    return False
                self.rfile, self.wfile = self.connection.makefile("rb"), _Unbuffered(self.connection)
                return True
            else:
                owner.mails_in_clear += verb == "MAIL"
                self._say(530, "must issue a STARTTLS command first")
        return False

    def _say(self, code: int, words: str) -> None:
        self.wfile.write(f"{code} {words}\r\n".encode())

    def _recipient(self, moods: Moods, rest: str, recipients: list[str]) -> None:
        found = re.search(r"<([^>]*)>", rest)
        address = found[1] if found else ""
        if moods.busy > 0:
            moods.busy -= 1
            self._say(451, "busy, try again later")
        elif not address or address in moods.unknown:
            self._say(550, "no such mailbox")
        else:
            recipients.append(address)
            self._say(250, "ok")

    def _take(self, owner: SmtpServer) -> bool:
        """Read one mail and keep it; false when the connection is to end without an answer."""
        self._say(354, "end with a dot")
        body = bytearray()
        while (line := self.rfile.readline(LINE_BYTES_MAX)) not in {b".\r\n", b""}:
            body += line.removeprefix(b".")
            if len(body) > MAIL_BYTES_MAX:
                self._say(552, "too long")
                return False
        mail = email.message_from_bytes(bytes(body), policy=email.policy.default)
        owner.mails.append(mail)
        if owner.moods.hang_up_after_data > 0:
            owner.moods.hang_up_after_data -= 1
            return False
        self._say(250, "taken")
        return True
