"""The documents that others write terminals from are what the types say, and every example in them is true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from edge_agent.wire import asyncapi, topics
from edge_agent.wire.asyncapi import document, schema_files
from edge_agent.wire.examples import JOURNAL_ID, SITE, TERMINAL, events, examples
from edge_agent.wire.messages import EVENTS_A_BATCH_MAX
from edge_agent.wire.records import DATA_TYPES

EVENT = json.loads(events()[3])


def schema(name: str) -> dict[str, Any]:
    return json.loads((asyncapi.FOLDER / "schema" / f"{name}.schema.json").read_bytes())


def test_the_committed_documents_are_what_the_types_make() -> None:
    for path, content in asyncapi.files().items():
        assert (asyncapi.FOLDER / path).read_bytes() == content, (
            f"{path} differs: run `python -m edge_agent.wire.asyncapi`"
        )
    there = {f"schema/{file.name}" for file in (asyncapi.FOLDER / "schema").iterdir()}
    assert there | {asyncapi.DOCUMENT} == set(asyncapi.files())


def test_writing_the_documents_writes_all_of_them(tmp_path: Path) -> None:
    assert {path.name for path in asyncapi.write(tmp_path)} == {Path(name).name for name in asyncapi.files()}


def test_every_topic_of_the_contract_is_in_the_document() -> None:
    addresses = {channel["address"] for channel in document()["channels"].values()}
    expected = {f"ccs/v1/{{site}}/{{terminal}}/{kind}" for kind in get_args(topics.TerminalKind)}
    expected |= {"ccs/v1/{site}/roster", "ccs/v1/{site}/incident", topics.CENTRAL_STATE}
    assert addresses == expected


def test_every_reference_in_the_document_leads_somewhere() -> None:
    whole = document()
    found: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                found.append(part["$ref"])
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(whole)
    assert len(found) > 40
    for reference in found:
        at: Any = whole
        for step in reference.removeprefix("#/").split("/"):
            at = at[step]


@pytest.mark.parametrize("dialect", [jsonschema.Draft7Validator, jsonschema.Draft202012Validator])
def test_every_schema_is_valid_and_every_example_keeps_to_it(dialect: Any) -> None:
    for name, content in schema_files().items():
        dialect.check_schema(content)
        assert content["$id"].endswith(name.removesuffix(".schema.json"))
    whole = document()
    for message in whole["components"]["messages"].values():
        assert message["examples"]
        for example in message["examples"]:
            described = message["payload"] | {"components": whole["components"]}
            dialect(described).validate(example["payload"])
            if "x-signed-body" in message:
                body = json.loads(example["payload"]["body"])
                dialect(message["x-signed-body"] | {"components": whole["components"]}).validate(body)


def test_the_examples_show_every_event_type_decision_and_direction() -> None:
    shown = [json.loads(event) for event in events()]
    assert {event["type"] for event in shown} == set(DATA_TYPES) | {"ccs.correction.v1"}
    taps = [event["data"] for event in shown if event["type"] in {"ccs.tap.v1", "ccs.muster.v1"}]
    assert {tap["decision"] for tap in taps} == {"accepted", "unknown_card", "barred", "auth_failed", "repeat"}
    assert {tap["direction"] for tap in taps} == {"in", "out", "tap", "muster"}


def test_the_examples_are_the_same_bytes_each_time() -> None:
    assert examples() == examples()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"subject": None}, "a tap needs its card"),
        ({"subject": "card:04a1b2c3"}, "a raw identifier is no token"),
        ({"source": "urn:ccs:Site 07:gate"}, "codes are lower case"),
        ({"id": "7"}, "the id is journal and sequence"),
        ({"sequence": "7"}, "a sequence has twenty digits"),
        ({"data": {"direction": "sideways"}}, "a direction is one of four"),
        ({"data": None}, "a tap has data"),
        ({"prevhash": "0"}, "a hash has 64 digits"),
        ({"clockstate": "fine"}, "the clock has four states"),
    ],
)
def test_a_wrong_event_is_refused_by_its_schema(change: dict[str, Any], why: str) -> None:
    wrong = {key: value for key, value in (EVENT | change).items() if value is not None}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema("event"))
    assert why


def test_unknown_types_and_attributes_keep_to_the_schema() -> None:
    jsonschema.validate(EVENT | {"type": "com.example.door.v1", "data": [1], "doorid": "x"}, schema("event"))


def test_a_batch_of_more_than_the_limit_is_refused_by_its_schema() -> None:
    jsonschema.validate([EVENT] * EVENTS_A_BATCH_MAX, schema("event-batch"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([EVENT] * (EVENTS_A_BATCH_MAX + 1), schema("event-batch"))


def test_the_examples_speak_of_one_terminal() -> None:
    for event in map(json.loads, events()):
        assert event["source"] == f"urn:ccs:{SITE}:{TERMINAL}"
        assert event["journalid"] == JOURNAL_ID
