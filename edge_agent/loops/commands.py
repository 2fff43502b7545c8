"""Signed commands of central. This version carries none of them out, and says so: central is never left guessing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from edge_agent.transport.mqtt import NotConnected
from edge_agent.wire.codec import BadSignature, encode, open_signed, time_text
from edge_agent.wire.messages import Reply, ShortText, Utc

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from structlog.typing import FilteringBoundLogger

    from edge_agent.clock import Clock, Reading
    from edge_agent.loops.herald import Herald
    from edge_agent.transport.mqtt import MqttLink


class Asked(Struct, frozen=True):
    """A command as far as any version can read it; `name` may be one that only later versions know.

    `site` and `terminal` stand under the signature: the topic it came on proves nothing.
    """

    id: ShortText
    name: Annotated[str, Meta(max_length=80)]
    expires_at: Utc
    site: str | None = None
    terminal: str | None = None


class Commands:
    """Verifies and answers. `announced` gives the connection on which the birth was sent."""

    def __init__(
        self,
        *,
        herald: Herald,
        clock: Clock,
        key: Ed25519PublicKey | None,
        announced: Callable[[], int | None],
        log: FilteringBoundLogger,
    ) -> None:
        self.topic = herald.topic("command")
        self._reply_topic = herald.topic("reply")
        self._us = (herald.site, herald.terminal)
        self._version = herald.versions["agent"]
        self._clock = clock
        self._key = key
        self._announced = announced
        self._log = log

    def take(self, payload: bytes, link: MqttLink) -> None:
        """Answer one command on `reply`. What central did not sign is only logged: its id is anybody's."""
        try:
            asked = self._open(payload)
        except (BadSignature, msgspec.DecodeError, UnicodeDecodeError) as exc:
            self._log.error("command_refused", reason=str(exc))
            return
        detail = refusal(asked, self._clock.read(), us=self._us, version=self._version)
        self._log.warning("command_not_done", id=asked.id, name=asked.name, reason=detail)
        try:
            reply = encode(Reply(id=asked.id, ok=False, detail=detail))
            link.publish(self._reply_topic, reply, connection=self._announced())
        except NotConnected as exc:
            self._log.warning("reply_not_sent", id=asked.id, reason=str(exc))

    def _open(self, payload: bytes) -> Asked:
        if self._key is None:
            raise BadSignature("no public key of central is configured: set keys.central_public_key_file")
        return open_signed(payload, Asked, key=self._key)


def refusal(asked: Asked, now: Reading, *, us: tuple[str, str], version: str) -> str:
    """Say why a command that central signed is not carried out; `us` is this terminal's site and code."""
    if asked.site is None or asked.terminal is None:
        return (
            "it names no terminal: central must sign site and terminal into a command, or it could be sent to another"
        )
    if (asked.site, asked.terminal) != us:
        return f"it is for {asked.site}/{asked.terminal}; this is {us[0]}/{us[1]}"
    if now.state != "unset" and asked.expires_at <= now.at:
        return f"expired at {time_text(asked.expires_at)}; this terminal's clock says {time_text(now.at)} ({now.state})"
    return f"{asked.name!r} is not supported by this version (agent {version})"
