"""Names on the wire: what is built is parsed back, what is none is refused in a sentence; ids are UUIDs, version 7."""

from __future__ import annotations

import hashlib
import hmac
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.wire.ids import (
    InvalidCode,
    card_subject,
    card_token,
    event_id,
    new_journal_id,
    parse_source,
    parse_subject,
    sequence_text,
    site_code,
    source_urn,
    terminal_code,
)
from edge_agent.wire.topics import (
    CENTRAL_STATE,
    TERMINAL_KINDS,
    TerminalTopic,
    all_terminals,
    incident_topic,
    parse_terminal_topic,
    roster_topic,
    shared,
    terminal_topic,
)

codes = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=40)
NO_CODES = ["", "Site-07", "site 07", "site/07", "a" * 41, "가", "site-07\n", "\nsite-07", "+", "#"]
TOKEN = "0123456789abcdef" * 2


def test_a_journal_id_is_a_new_uuid_of_version_seven_that_begins_with_its_time() -> None:
    before_ms = time.time_ns() // 1_000_000
    made = [uuid.UUID(new_journal_id()) for _ in range(500)]
    after_ms = time.time_ns() // 1_000_000
    assert len(set(made)) == len(made)
    for one in made:
        assert one.variant == uuid.RFC_4122
        assert one.version == 7
        assert before_ms <= one.int >> 80 <= after_ms
    for bit in (*range(62), *range(64, 76)):
        assert {one.int >> bit & 1 for one in made} == {0, 1}, f"bit {bit} is not random"


@pytest.mark.parametrize("code", NO_CODES)
def test_what_is_no_code_is_refused_by_its_name(code: str) -> None:
    """Mutant: a code with a line feed behind it passes, for `$` also stands before one."""
    for check in (site_code, terminal_code):
        with pytest.raises(InvalidCode) as refused:
            check(code)
        assert str(refused.value).startswith(repr(code)), "the sentence names what was given"
        assert "1 to 40 characters of a-z, 0-9 and '-'" in str(refused.value)


@given(codes, codes, st.sampled_from(TERMINAL_KINDS))
def test_a_terminals_topic_is_parsed_as_it_was_built(site: str, terminal: str, kind: str) -> None:
    topic = terminal_topic(site, terminal, kind)  # type: ignore[arg-type]  # drawn from the literals
    assert topic == f"ccs/v1/{site}/{terminal}/{kind}"
    assert parse_terminal_topic(topic) == TerminalTopic(site_code(site), terminal_code(terminal), kind)
    assert parse_source(source_urn(site, terminal)) == (site, terminal)


@pytest.mark.parametrize("code", [one for one in NO_CODES if "/" not in one])
def test_no_topic_is_built_or_parsed_with_what_is_no_code(code: str) -> None:
    for build in (roster_topic, incident_topic):
        with pytest.raises(InvalidCode):
            build(code)
    for site, terminal in ((code, "gate-03"), ("site-07", code)):
        with pytest.raises(InvalidCode):
            terminal_topic(site, terminal, "events")
        assert parse_terminal_topic(f"ccs/v1/{site}/{terminal}/events") is None
        assert parse_source(f"urn:ccs:{site}:{terminal}") is None


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "ccs/v1/site-07/gate-03",
        "ccs/v1/site-07/gate-03/events/more",
        "ccs/v2/site-07/gate-03/events",
        "other/v1/site-07/gate-03/events",
        "ccs/v1/site-07/gate-03/gossip",
        "ccs/v1/site-07/roster",
        CENTRAL_STATE,
    ],
)
def test_what_is_no_terminals_topic_is_not_taken_for_one(topic: str) -> None:
    assert parse_terminal_topic(topic) is None


def test_the_other_topics_and_filters_are_those_of_the_contract() -> None:
    assert roster_topic("site-07") == "ccs/v1/site-07/roster"
    assert incident_topic("site-07") == "ccs/v1/site-07/incident"
    assert CENTRAL_STATE == "ccs/v1/central/state"
    assert all_terminals("live") == "ccs/v1/+/+/live"
    assert shared("ingest", all_terminals("live")) == "$share/ingest/ccs/v1/+/+/live"


def test_an_events_names_are_those_of_the_contract() -> None:
    assert sequence_text(12345) == "00000000000000012345"
    assert event_id("0198", 7) == "0198-00000000000000000007"
    assert parse_subject(card_subject(TOKEN)) == TOKEN


@pytest.mark.parametrize(
    "subject", [None, "", "card:", f"card:{TOKEN[1:]}", f"card:{TOKEN}0", f"card:{TOKEN.upper()}", f"Card:{TOKEN}",
                f"card:{TOKEN}\n", f" card:{TOKEN}"]
)  # fmt: skip
def test_what_names_no_card_has_no_token(subject: str | None) -> None:
    assert parse_subject(subject) is None


@given(st.binary(min_size=1), st.binary())
def test_a_token_is_half_an_hmac_of_the_cards_identity(key: bytes, identity: bytes) -> None:
    assert card_token(key, identity) == hmac.new(key, identity, hashlib.sha256).hexdigest()[:32]
