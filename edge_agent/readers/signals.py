"""Colours and sounds of readers that have them: pseudo-APDUs by the reader's PC/SC name. Pure tables."""

from __future__ import annotations

from edge_agent.wire.messages import Shown

_ACR122 = {
    # FF 00 40 <LEDs> 04 <on> <off> <times> <buzzer while on>; units of 100 ms; A0 green, 50 red, F0 both (amber)
    "green": bytes.fromhex("ff0040a00402000101"),
    "amber": bytes.fromhex("ff0040f00402010201"),
    "red": bytes.fromhex("ff0040500401010301"),
}

_BY_NAME: tuple[tuple[str, dict[str, bytes]], ...] = (("ACR122", _ACR122),)


def signal_for(reader: str, shown: Shown) -> bytes | None:
    """The command that makes this reader show a colour, or None when it has no way that we know."""
    for part, commands in _BY_NAME:
        if part in reader:
            return commands[shown]
    return None
