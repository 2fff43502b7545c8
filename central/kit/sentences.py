"""Sentences with figures in them that can still be translated: the pattern and what is filled in stay apart.

`sentence("row %(row)s is empty", row=7)` is text like any other, in English; `i18n.said` says it in another language.
"""

from __future__ import annotations

from typing import Any, Self

Value = str | int


class Sentence(str):
    """A sentence as text, with the pattern that it was made from and its values (sentences among them)."""

    __slots__ = ("pattern", "values")
    pattern: str
    values: dict[str, Value]

    def __new__(cls, pattern: str, values: dict[str, Value]) -> Self:
        """Fill the values in."""
        made = super().__new__(cls, pattern % values if values else pattern)
        made.pattern = pattern
        made.values = values
        return made


def sentence(pattern: str, **values: Value) -> Sentence:
    """Make a sentence; its pattern is found and translated like a page's words."""
    return Sentence(pattern, values)


def packed(message: str) -> dict[str, Any]:
    """Return a sentence as JSON values, to be kept and said later in any language."""
    if not isinstance(message, Sentence):
        return {"text": str(message)}
    values = {name: packed(value) if isinstance(value, Sentence) else value for name, value in message.values.items()}
    return {"text": message.pattern, "values": values}


def unpacked(kept: dict[str, Any]) -> str:
    """Return what `packed` kept."""
    if "values" not in kept:
        return str(kept["text"])
    values = {name: unpacked(value) if isinstance(value, dict) else value for name, value in kept["values"].items()}
    return Sentence(kept["text"], values)
