"""Mail that leaves: one port, SMTP behind it. A server's "not now" and "never" are told apart."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from central.kit.config import BadSetting
from central.kit.outbox import SendDelayed, SendRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from central.kit.config import Settings
    from central.kit.outbox import Message

MAIL = "mail"
"""The outbox's channel."""
ANSWER_S_MAX = 20.0
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_PERMANENT = 500


class Mail(Protocol):
    """Something that takes a mail and passes it on."""

    def send(self, message: Message) -> None:
        """Send one mail. Raises `SendRefused` or `SendDelayed`. Blocks."""
        ...


@dataclass(frozen=True)
class SmtpMail:
    """An SMTP server (RFC 5321), with STARTTLS or TLS from the first byte as its address says."""

    scheme: str
    host: str
    port: int
    user: str
    password: str
    sender: str

    def send(self, message: Message) -> None:
        """Send one mail under its own Message-ID, so that a repetition can be told by the receiving side."""
        try:
            with self._session() as server:
                server.send_message(self._written(message), to_addrs=[message.recipient])
        except smtplib.SMTPRecipientsRefused as refusal:
            code, words = next(iter(refusal.recipients.values()))
            _raise(code, words)
        except smtplib.SMTPResponseException as refusal:
            _raise(refusal.smtp_code, refusal.smtp_error)
        except (smtplib.SMTPException, OSError) as trouble:
            raise SendDelayed(f"{self.host}:{self.port} did not take it: {trouble}") from trouble

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        secure = ssl.create_default_context()
        if self.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=ANSWER_S_MAX, context=secure)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=ANSWER_S_MAX)
        with server:
            if self.scheme == "smtp+starttls":
                server.starttls(context=secure)
            if self.user:
                server.login(self.user, self.password)
            yield server

    def _written(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = self.sender, message.recipient, message.subject
        mail["Message-ID"] = f"<{message.id}@{self.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.body)
        return mail


def _raise(code: int, words: bytes | str) -> None:
    said = words.decode(errors="replace") if isinstance(words, bytes) else words
    if code >= _PERMANENT:
        raise SendRefused(f"{code} {said}")
    raise SendDelayed(f"{code} {said}")


def mail_of(settings: Settings) -> Mail | None:
    """Make the installation's mail, or None when it has none. Raises `BadSetting` for an address nobody can use."""
    if not settings.smtp_url:
        return None
    parts = urlsplit(settings.smtp_url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise BadSetting(f"CCS_SMTP_URL starts with {parts.scheme!r}: expected one of {', '.join(_PORTS)} and a host")
    if "@" not in settings.mail_from:
        raise BadSetting("CCS_MAIL_FROM is not set: give the address that mail is sent from, e.g. no-reply@host")
    return SmtpMail(
        parts.scheme,
        parts.hostname,
        parts.port or _PORTS[parts.scheme],
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        settings.mail_from,
    )
