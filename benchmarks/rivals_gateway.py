"""ThingsBoard Gateway's own SQLite storage, filled and drained: `rivals_gateway.py FOLDER EVENTS BYTES PACK`.

Runs with nothing but the gateway's package on its path, in a process of its own, and prints one JSON object. Drained as
the gateway's sending thread does it: a pack is taken, and confirmed before the next one. Nothing is sent.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from typing import Any

WAIT_S_MAX = 60.0
DRAIN_S_MAX = 20.0
"""Small packs take minutes: the rate of what was drained until then is as good."""
POLL_S = 0.05


def fill(storage: Any, *, events: int, size_bytes: int) -> dict[str, float]:  # noqa: ANN401 - no types there
    """Put the events; its writer is a thread of its own, so wait until it has written them all."""
    message = "x" * size_bytes
    begun_s = time.perf_counter()
    for _ in range(events):
        storage.put(message)
    put_s = time.perf_counter() - begun_s
    while storage.len() < events or not storage.write_queue.empty():
        if time.perf_counter() - begun_s > WAIT_S_MAX:
            raise TimeoutError(f"the gateway has written {storage.len()} of {events} events in {WAIT_S_MAX:.0f} s")
        time.sleep(POLL_S)
    return {"put_us": put_s / events * 1e6, "written_us": (time.perf_counter() - begun_s) / events * 1e6}


def drain(storage: Any, *, events: int) -> dict[str, float]:  # noqa: ANN401 - as above
    """Take the events out pack by pack, each confirmed, which deletes it; return the rate and the cost of an event."""
    taken, begun_s, cpu_s = 0, time.perf_counter(), time.process_time()
    until_s = begun_s + DRAIN_S_MAX
    while taken < events and time.perf_counter() < until_s:
        pack = storage.get_event_pack()
        if pack:
            taken += len(pack)
            storage.event_pack_processing_done()
    if taken == 0:
        raise TimeoutError(f"the gateway gave none of {events} events in {DRAIN_S_MAX:.0f} s")
    cpu_us = (time.process_time() - cpu_s) / taken * 1e6
    return {"per_s": taken / (time.perf_counter() - begun_s), "cpu_us": cpu_us}


def main(folder: str, events: int, size_bytes: int, pack: int) -> None:
    """Fill, drain, print."""
    from thingsboard_gateway.storage.sqlite import sqlite_event_storage  # type: ignore[import-not-found]  # not ours

    logger = logging.getLogger("gateway")
    logger.trace = lambda *_: None  # type: ignore[attr-defined]  # the gateway's own logger has this level
    settings = {"data_file_path": f"{folder}/", "max_read_records_count": pack}
    storage = sqlite_event_storage.SQLiteEventStorage(settings, logger, threading.Event())
    found = fill(storage, events=events, size_bytes=size_bytes)
    print(json.dumps(found | drain(storage, events=events)))
    storage.stop()


if __name__ == "__main__":
    main(sys.argv[1], *(int(one) for one in sys.argv[2:5]))
