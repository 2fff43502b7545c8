"""Makes the contract's documents from its types: an AsyncAPI 3.0 document and a JSON Schema a message.

`python -m edge_agent.wire.asyncapi` writes them beside this file; a test fails when they differ from the types.
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
from msgspec import Struct

from edge_agent.wire import messages as m
from edge_agent.wire.channels import CHANNELS, INTRODUCTION, Channel
from edge_agent.wire.examples import examples
from edge_agent.wire.records import DATA_TYPES

FOLDER = Path(__file__).parent
DOCUMENT = "asyncapi.json"
DIALECT = "http://json-schema.org/draft-07/schema#"
Json = dict[str, Any]

BODIES: dict[str, type[Struct]] = {"Roster": m.Roster, "Command": m.Command}
"""What stands, as JSON text, in `body` of a signed envelope."""
_MESSAGES: tuple[type[Struct], ...] = (
    m.Birth,
    m.TerminalState,
    m.Heartbeat,
    m.Ack,
    m.CentralState,
    m.Signed,
    m.Incident,
    m.Reply,
)


def schemas(prefix: str) -> dict[str, Json]:
    """Describe every type under its name; references start with `prefix`. Valid in draft 7 and 2020-12 alike."""
    kinds = [_event_type(), *_MESSAGES, *BODIES.values(), *dict.fromkeys(DATA_TYPES.values())]
    _, found = msgspec.json.schema_components(kinds, ref_template=prefix + "{name}")
    found = {name: _plain(schema) for name, schema in found.items()}
    found["Event"] = _event_schema(found["Event"], prefix)
    found["EventBatch"] = {
        "title": "EventBatch",
        "description": f"Events in `sequence` order: {m.BATCH_BYTES_MAX} bytes at most, {m.EVENT_BYTES_MAX} an event.",
        "type": "array",
        "items": {"$ref": f"{prefix}Event"},
        "maxItems": m.EVENTS_A_BATCH_MAX,
    }
    return dict(sorted(found.items()))


def _event_type() -> type[Struct]:
    """Copy `Event` with `data` as any JSON value: raw bytes have no schema."""
    hints = get_type_hints(m.Event, include_extras=True)
    fields: list[Any] = []
    for one in msgspec.structs.fields(m.Event):
        if one.name == "data":
            fields.append((one.name, Any, None))
        elif one.required:
            fields.append((one.name, hints[one.name]))
        else:
            fields.append((one.name, hints[one.name], one.default))
    copy = msgspec.defstruct("Event", fields, frozen=True)
    copy.__doc__ = m.Event.__doc__
    return copy


def _event_schema(plain: Json, prefix: str) -> Json:
    """Say what the types alone cannot: the shape of ids, and which `data` belongs to which type."""
    properties = plain["properties"]
    properties["source"]["pattern"] = "^urn:ccs:[a-z0-9-]{1,40}:[a-z0-9-]{1,40}$"
    properties["id"]["pattern"] = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9]{20}$"
    properties["subject"] = {"type": "string", "pattern": "^card:[0-9a-f]{32}$", "description": "`card:{token}`"}
    properties["data"] = {"description": "Any JSON value; its shape is given by `type`."}
    cases = []
    for type_, kind in DATA_TYPES.items():
        then: Json = {"properties": {"data": {"$ref": f"{prefix}{kind.__name__}"}}, "required": ["data"]}
        if kind is m.TapData:
            then["required"] = ["data", "subject"]
        cases.append({"if": {"properties": {"type": {"const": type_}}}, "then": then})
    return plain | {"allOf": cases}


def _plain(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Rewrite what only draft 2020-12 knows: a pair of equal types becomes an array of exactly that many."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: _plain(value) for key, value in schema.items()}
    if isinstance(schema.get("description"), str):
        schema["description"] = inspect.cleandoc(schema["description"])
    if "prefixItems" in schema:
        first, *rest = schema.pop("prefixItems")
        if any(part != first for part in rest):
            raise ValueError("a tuple of different types has no form that both JSON Schema drafts read alike")
        schema["items"] = first
    return schema


def schema_files() -> dict[str, Json]:
    """Return one self-contained JSON Schema for each message and for each signed body, by file name."""
    components = schemas("#/definitions/")
    files = {}
    for name in [*dict.fromkeys(channel.message for channel in CHANNELS), *BODIES, "Event"]:
        files[f"{_file_name(name)}.schema.json"] = {
            "$schema": DIALECT,
            "$id": f"urn:ccs:schema:v1:{_file_name(name)}",
            "$ref": f"#/definitions/{name}",
            "definitions": {key: components[key] for key in _needed(name, components)},
        }
    return files


def _file_name(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")


def _needed(name: str, components: dict[str, Json]) -> list[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        found.add(current)
        waiting += [key for key in components if f'"#/definitions/{key}"' in json.dumps(components[current])]
    return sorted(found)


def document() -> Json:
    """Return the AsyncAPI document, seen from the terminal: it sends what goes to central."""
    return {
        "asyncapi": "3.0.0",
        "id": "urn:ccs:wire:v1",
        "info": {
            "title": "Construction site card terminal",
            "version": "1.0.0",
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "broker.example:8883",
                "protocol": "secure-mqtt",
                "protocolVersion": "5",
                "description": "Any MQTT 5 broker.",
            }
        },
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {channel.operation: _operation(channel) for channel in CHANNELS},
        "components": {
            "parameters": {
                "site": {"description": "The site's code, `[a-z0-9-]{1,40}`.", "examples": ["site-07"]},
                "terminal": {"description": "The terminal's code, `[a-z0-9-]{1,40}`.", "examples": ["gate-03"]},
            },
            "messages": {_message_name(channel): _message(channel) for channel in CHANNELS},
            "schemas": schemas("#/components/schemas/"),
        },
    }


def _message_name(channel: Channel) -> str:
    return channel.message if channel.message != "Signed" else f"Signed{channel.signed}"


def _channel(channel: Channel) -> Json:
    name = _message_name(channel)
    described: Json = {
        "address": channel.address,
        "description": channel.description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
    }
    names = [name for name in ("site", "terminal") if f"{{{name}}}" in channel.address]
    if names:
        described["parameters"] = {name: {"$ref": f"#/components/parameters/{name}"} for name in names}
    return described


def _operation(channel: Channel) -> Json:
    reference = f"#/channels/{channel.name}"
    return {
        "action": channel.action,
        "channel": {"$ref": reference},
        "summary": channel.summary,
        "messages": [{"$ref": f"{reference}/messages/{_message_name(channel)}"}],
        "bindings": {"mqtt": {"qos": channel.qos, "retain": channel.retain, "bindingVersion": "0.2.0"}},
    }


def _message(channel: Channel) -> Json:
    made = examples()
    message: Json = {
        "name": _message_name(channel),
        "contentType": channel.content_type,
        "payload": {"$ref": f"#/components/schemas/{channel.message}"},
        "examples": [{"name": name, "payload": json.loads(made[name])} for name in channel.examples],
    }
    if channel.signed:
        message["description"] = (
            f"`body` is the JSON text of a {channel.signed}; `sig` is Ed25519 over that text's UTF-8 bytes."
        )
        message["x-signed-body"] = {"$ref": f"#/components/schemas/{channel.signed}"}
    return message


def files() -> dict[str, bytes]:
    """Return every generated file by its path below `edge_agent/wire`."""
    made: dict[str, Json] = {DOCUMENT: document()}
    made |= {f"schema/{name}": schema for name, schema in schema_files().items()}
    return {path: (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode() for path, content in made.items()}


def write(folder: Path = FOLDER) -> list[Path]:
    """Write the files and return their paths."""
    written = []
    for path, content in files().items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        written.append(target)
    return written


if __name__ == "__main__":
    for written_path in write():
        sys.stdout.write(f"{written_path}\n")
