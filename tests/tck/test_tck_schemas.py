"""The kit's own validator against the library that everybody uses, and its reading of the contract against ours."""

from __future__ import annotations

import ast
import json
import random
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edge_agent.wire import codec
from edge_agent.wire.ids import card_token
from simulators.tck import contract
from simulators.tck.schema import Schemas, UnknownKeyword, _check

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "tests/wire/recorded/v1"
SCHEMA_OF = {
    "ack": "ack",
    "birth": "birth",
    "heartbeat": "heartbeat",
    "state": "terminal-state",
    "central": "central-state",
    "reply": "reply",
    "event": "event",
    "batch": "event-batch",
    "roster": "signed",
    "command": "signed",
    "incident": "incident",
}
STRANGE: list[Any] = [None, True, -1, 0, 2**63, 1.5, "", "x" * 300, "1970-01-01", "2026-01-01T00:00:00", [], {}, [[1]]]


def recorded() -> list[tuple[str, bytes]]:
    files = [file for file in sorted(RECORDED.glob("*.json")) if not file.stem.endswith(("-body", "incident-none"))]
    return [(SCHEMA_OF[file.stem.split("-")[0]], file.read_bytes()) for file in files]


def wrecked(value: Any, chance: random.Random) -> Any:
    """Change one thing somewhere in a message."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        name = chance.choice(list(value))
        how = chance.randrange(3)
        if how == 0:
            return {key: part for key, part in value.items() if key != name}
        return value | {name: chance.choice(STRANGE) if how == 1 else wrecked(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        index = chance.randrange(len(value))
        return [*value[:index], wrecked(value[index], chance), *value[index + 1 :]]
    return chance.choice(STRANGE)


def test_every_recorded_message_fits_its_published_schema() -> None:
    schemas = Schemas()
    for name, payload in recorded():
        assert schemas.complaints(name, payload) == [], name
    assert set(SCHEMA_OF.values()) <= set(schemas.names)


def test_it_agrees_with_the_jsonschema_library_on_a_thousand_wrecked_messages() -> None:
    schemas, seed = Schemas(), random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    checkers = {
        name: jsonschema.Draft7Validator(
            json.loads((ROOT / f"edge_agent/wire/schema/{name}.schema.json").read_text()),
            format_checker=jsonschema.FormatChecker(formats=[]),
        )
        for name in schemas.names
    }
    messages = recorded()
    refused = 0
    for _ in range(1000):
        name, payload = chance.choice(messages)
        value = wrecked(json.loads(payload), chance)
        ours = [one for one in schemas.complaints(name, json.dumps(value).encode()) if "RFC 3339" not in one]
        theirs = checkers[name].is_valid(value)
        assert (not ours) == theirs, (name, value, ours)
        refused += not theirs
    assert refused > 100


@pytest.mark.parametrize("text", ["2026-01-01", "2026-01-01T00:00:00", "yesterday", "2026-13-01T00:00:00Z"])
def test_an_instant_without_zone_or_time_is_none(text: str) -> None:
    state = json.dumps({"online": True, "boot_id": "b", "at": text}).encode()
    assert "RFC 3339" in " ".join(Schemas().complaints("terminal-state", state))


def test_a_keyword_that_it_does_not_know_is_never_passed_over() -> None:
    with pytest.raises(UnknownKeyword, match="multipleOf"):
        list(_check(3, {"multipleOf": 2}, {}, "$"))


def test_the_second_reading_of_the_contract_is_the_first() -> None:
    batch = (RECORDED / "batch.json").read_bytes()
    assert contract.split_batch(batch) == codec.split_batch(batch)
    assert contract.split_batch(b" [ ] ") == []
    spaced = '[ {"a":"가"} ,\n{"b":[1]}]'.encode()
    assert contract.split_batch(spaced) == codec.split_batch(spaced)
    assert contract.token_of(b"k" * 32, b"\x04\x01") == card_token(b"k" * 32, b"\x04\x01")
    assert contract.hash_of(b"x") == codec.event_hash(b"x")
    assert contract.ranges_of([1, 2, 3, 7, 9, 8]) == [[1, 3], [7, 9]]


@pytest.mark.parametrize("payload", [b"", b"{}", b"[1", b"[1,,2]", b"[1]]", b"[1 2]", b"\xff", b"[nope]"])
def test_what_is_no_batch_is_said_to_be_none(payload: bytes) -> None:
    with pytest.raises(contract.NotABatch):
        contract.split_batch(payload)


def test_the_kit_shares_no_code_with_what_it_judges() -> None:
    others = set()
    for path in (ROOT / "simulators/tck").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                others |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                others.add(node.module)
    roots = {name.partition(".")[0] for name in others} - sys.stdlib_module_names
    assert roots <= {"simulators", "cryptography", "paho", "rich", "typer"}
    assert {name for name in others if name.startswith("simulators")} <= {
        name
        for name in others
        if name.startswith(("simulators.tck", "simulators.central_api", "simulators.commissioning"))
    }
