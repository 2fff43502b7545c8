from __future__ import annotations

import pytest

from edge_agent.readers.base import ReaderConfig, ReaderUnusable
from edge_agent.readers.remote import parse_address


def config(address: str) -> ReaderConfig:
    return ReaderConfig("r1", "socket", address, "in", "gate-01")


@pytest.mark.parametrize("address", ["127.0.0.1:7401", "localhost:7401", "[::1]:7401"])
def test_a_socket_reader_listens_on_this_machine(address: str) -> None:
    assert parse_address(config(address))[1] == 7401


@pytest.mark.parametrize("address", ["0.0.0.0:7401", "192.0.2.1:7401", "gate:7401", "7401", "127.0.0.1:0"])
def test_a_socket_reader_that_others_could_reach_is_refused_in_a_sentence(address: str) -> None:
    with pytest.raises(ReaderUnusable, match="reader 'r1': "):
        parse_address(config(address))
