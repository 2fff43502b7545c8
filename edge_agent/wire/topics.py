"""MQTT topic names, built and parsed in one place. QoS 1 unless said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from edge_agent.wire.ids import SiteCode, TerminalCode, site_code, terminal_code

ROOT = "ccs/v1"
TerminalKind = Literal["events", "live", "birth", "state", "heartbeat", "ack", "command", "reply"]
TERMINAL_KINDS: tuple[str, ...] = get_args(TerminalKind)
CENTRAL_STATE = f"{ROOT}/central/state"


@dataclass(frozen=True, slots=True)
class TerminalTopic:
    """A parsed `ccs/v1/{site}/{terminal}/{kind}`."""

    site: SiteCode
    terminal: TerminalCode
    kind: str


def terminal_topic(site: str, terminal: str, kind: TerminalKind) -> str:
    """Build `ccs/v1/{site}/{terminal}/{kind}`; raise `InvalidCode` for a bad code."""
    return f"{ROOT}/{site_code(site)}/{terminal_code(terminal)}/{kind}"


def roster_topic(site: str) -> str:
    """Build the site's roster topic (retained, signed)."""
    return f"{ROOT}/{site_code(site)}/roster"


def incident_topic(site: str) -> str:
    """Build the site's incident topic (retained)."""
    return f"{ROOT}/{site_code(site)}/incident"


def all_terminals(kind: TerminalKind) -> str:
    """Build the filter that central subscribes to for one kind of message."""
    return f"{ROOT}/+/+/{kind}"


def shared(group: str, topic_filter: str) -> str:
    """Build an MQTT 5 shared subscription: each message goes to one member of `group`."""
    return f"$share/{group}/{topic_filter}"


def parse_terminal_topic(topic: str) -> TerminalTopic | None:
    """Split a terminal's topic, or None when the topic is not one."""
    parts = topic.split("/")
    if len(parts) != 5 or parts[:2] != ["ccs", "v1"] or parts[4] not in TERMINAL_KINDS:  # noqa: PLR2004 - the five levels of the topic
        return None
    try:
        return TerminalTopic(site_code(parts[2]), terminal_code(parts[3]), parts[4])
    except ValueError:
        return None
