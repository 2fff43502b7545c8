"""What a careful Python program does: paho with manual acknowledgement, pydantic, and `executemany` a batch.

`python -m benchmarks.rivals_paho DATABASE_URL HOST PORT TOPIC`. Stores, commits, then acknowledges.
"""

from __future__ import annotations

import queue
import sys
from datetime import datetime
from typing import Any, Literal

import psycopg
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic import BaseModel, TypeAdapter

CLIENT_ID = "rival-paho"
BATCH_MESSAGES_MAX = 1000
SESSION_S = 3600
INSERT = (
    "INSERT INTO rival_event (journal, seq, occurred_at, site, terminal, token, direction, bytes)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)


class Tap(BaseModel):
    """`data` of a tap."""

    direction: Literal["in", "out", "tap", "muster"]
    reader: str
    zone: str
    decision: str
    shown: str


class Event(BaseModel):
    """A CloudEvent of the wire contract."""

    specversion: Literal["1.0"]
    type: str
    source: str
    id: str
    sequence: str
    time: datetime
    subject: str | None = None
    journalid: str
    prevhash: str
    data: dict[str, Any]


_batch = TypeAdapter(list[Event])


def rows_of(message: MQTTMessage) -> list[tuple[Any, ...]]:
    """Validate one message and make its rows."""
    rows = []
    for event in _batch.validate_json(message.payload):
        _, _, site, terminal = event.source.split(":")
        direction = Tap.model_validate(event.data).direction if event.type == "ccs.tap.v1" else None
        rows.append(
            (
                event.journalid,
                int(event.sequence),
                event.time,
                site,
                terminal,
                event.subject,
                direction,
                event.model_dump_json().encode(),
            )
        )
    return rows


def run(database_url: str, host: str, port: int, topic: str) -> None:
    """Work until killed."""
    waiting: queue.SimpleQueue[MQTTMessage] = queue.SimpleQueue()
    client = Client(CallbackAPIVersion.VERSION2, client_id=CLIENT_ID, protocol=MQTTv5, manual_ack=True)
    client.on_message = lambda _client, _data, message: waiting.put(message)
    client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # the library's own gap
    properties.SessionExpiryInterval = SESSION_S
    client.connect(host, port, clean_start=False, properties=properties)
    client.loop_start()
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        while True:
            messages = [waiting.get()]
            while len(messages) < BATCH_MESSAGES_MAX and not waiting.empty():
                messages.append(waiting.get())
            cursor.executemany(INSERT, [row for message in messages for row in rows_of(message)])
            connection.commit()
            for message in messages:
                client.ack(message.mid, message.qos)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
