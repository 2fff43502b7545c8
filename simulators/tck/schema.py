"""The published JSON Schemas, and a validator of the part of draft-07 that they use.

Small on purpose: a maker of terminals needs nothing installed beyond the package. A keyword that it does not know is an
error, never passed over; the tests compare its word with that of the `jsonschema` library.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from simulators.tck.contract import read_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COMPLAINTS_MAX = 5
_JOINTS = {"$ref", "allOf", "anyOf", "if"}
_PARTS = {"properties", "additionalProperties", "items"}
_SAID_ONLY = {"$schema", "$id", "title", "description", "default", "definitions", "then"}
_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value == int(value),
}


class UnknownKeyword(ValueError):
    """A schema uses what this validator does not know: extend it before believing it."""


class Schemas:
    """Every published schema by name, such as `event` or `birth`."""

    def __init__(self, folder: Path | None = None) -> None:
        """Read `folder`, or the schemas that are published with this package."""
        where = folder or files("edge_agent.wire").joinpath("schema")
        suffix = ".schema.json"
        self._documents: dict[str, dict[str, Any]] = {
            entry.name.removesuffix(suffix): json.loads(entry.read_text(encoding="utf-8"))
            for entry in where.iterdir()
            if entry.name.endswith(suffix)
        }

    @property
    def names(self) -> list[str]:
        """Name every schema."""
        return sorted(self._documents)

    def complaints(self, name: str, payload: bytes) -> list[str]:
        """Say what is wrong with a message, at most `COMPLAINTS_MAX` sentences; an empty list when nothing is."""
        try:
            value = json.loads(payload)
        except ValueError as exc:
            return [f"it is not JSON: {exc}"]
        document = self._documents[name]
        found: list[str] = []
        for complaint in _check(value, document, document, "$"):
            found.append(complaint)
            if len(found) == COMPLAINTS_MAX:
                break
        return found


def _check(value: Any, schema: dict[str, Any], document: dict[str, Any], where: str) -> Iterator[str]:  # noqa: ANN401 - any JSON
    for keyword, demand in schema.items():
        if keyword in _RULES:
            wrong = _RULES[keyword](value, demand)
            if wrong:
                yield f"{where}: {wrong}"
        elif keyword in _PARTS:
            yield from _inside(value, keyword, schema, document, where)
        elif keyword in _JOINTS:
            yield from _joined(value, keyword, schema, document, where)
        elif keyword not in _SAID_ONLY:
            raise UnknownKeyword(f"{keyword!r} at {where}")


def _joined(
    value: Any,  # noqa: ANN401 - any JSON
    keyword: str,
    schema: dict[str, Any],
    document: dict[str, Any],
    where: str,
) -> Iterator[str]:
    """Apply a keyword that holds schemas for the same value."""
    demand = schema[keyword]
    if keyword == "$ref":
        yield from _check(value, document["definitions"][demand.rpartition("/")[2]], document, where)
    elif keyword == "allOf":
        for part in demand:
            yield from _check(value, part, document, where)
    elif keyword == "anyOf":
        if all(any(_check(value, part, document, where)) for part in demand):
            yield f"{where}: {_short(value)} is none of what is allowed here"
    elif not any(_check(value, demand, document, where)):  # "if"
        yield from _check(value, schema["then"], document, where)


def _inside(
    value: Any,  # noqa: ANN401 - any JSON
    keyword: str,
    schema: dict[str, Any],
    document: dict[str, Any],
    where: str,
) -> Iterator[str]:
    """Apply a keyword that holds schemas for the parts of the value."""
    demand = schema[keyword]
    if keyword == "items":
        for index, item in enumerate(value if isinstance(value, list) else []):
            yield from _check(item, demand, document, f"{where}[{index}]")
        return
    named = schema.get("properties", {})
    for name, item in value.items() if isinstance(value, dict) else ():
        if keyword == "properties" and name in named:
            yield from _check(item, named[name], document, f"{where}.{name}")
        elif keyword == "additionalProperties" and name not in named:
            yield from _check(item, demand, document, f"{where}.{name}")


def _short(value: Any) -> str:  # noqa: ANN401 - any JSON
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004 - what fits a sentence


def _type(value: Any, demand: str) -> str:  # noqa: ANN401 - any JSON
    return "" if _TYPES[demand](value) else f"{_short(value)} is no {demand}"


def _required(value: Any, demand: list[str]) -> str:  # noqa: ANN401 - any JSON
    missing = [name for name in demand if isinstance(value, dict) and name not in value]
    return f"{', '.join(missing)} is missing" if missing else ""


def _pattern(value: Any, demand: str) -> str:  # noqa: ANN401 - any JSON
    # Python's `$` allows a line end behind it, the schema's does not.
    wrong = isinstance(value, str) and (not re.search(demand, value) or value.endswith("\n"))
    return f"{_short(value)} does not match {demand}" if wrong else ""


def _format(value: Any, demand: str) -> str:  # noqa: ANN401 - any JSON
    if demand != "date-time":
        raise UnknownKeyword(f"format {demand!r}")
    if not isinstance(value, str):
        return ""
    try:
        read_time(value)
    except ValueError as exc:
        return f"{_short(value)} is no RFC 3339 instant: {exc}"
    return "" if "T" in value.upper() else f"{_short(value)} is no RFC 3339 instant"


def _bounds(
    kind: type | tuple[type, ...], measure: Callable[[Any], float], *, upper: bool
) -> Callable[[Any, Any], str]:
    def rule(value: Any, demand: float) -> str:  # noqa: ANN401 - any JSON
        if not isinstance(value, kind) or isinstance(value, bool):
            return ""
        size = measure(value)
        wrong = size > demand if upper else size < demand
        return f"{_short(value)}: {size} where at {'most' if upper else 'least'} {demand} is allowed" if wrong else ""

    return rule


_RULES: dict[str, Callable[[Any, Any], str]] = {
    "type": _type,
    "required": _required,
    "pattern": _pattern,
    "format": _format,
    "enum": lambda value, demand: (
        "" if value in demand else f"{_short(value)} is none of {', '.join(map(str, demand))}"
    ),
    "const": lambda value, demand: "" if value == demand else f"{_short(value)} is not {demand!r}",
    "maxLength": _bounds(str, len, upper=True),
    "minLength": _bounds(str, len, upper=False),
    "maxItems": _bounds(list, len, upper=True),
    "minItems": _bounds(list, len, upper=False),
    "maximum": _bounds((int, float), lambda value: value, upper=True),
    "minimum": _bounds((int, float), lambda value: value, upper=False),
}
