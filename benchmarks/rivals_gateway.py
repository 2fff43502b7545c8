"""ThingsBoard Gateway's own SQLite storage, filled and drained: `python rivals_gateway.py FOLDER EVENTS BYTES`.

Runs with nothing but the gateway's package on its path, in a process of its own, and prints one JSON object.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time

WAIT_S_MAX = 60.0


def main(folder: str, events: int, size: int) -> None:
    """Put, wait until all are there, take them out pack by pack, each pack confirmed."""
    from thingsboard_gateway.storage.sqlite.sqlite_event_storage import SQLiteEventStorage

    logger = logging.getLogger("gateway")
    logger.trace = lambda *_: None  # type: ignore[attr-defined]  # the gateway's own logger has this level
    storage = SQLiteEventStorage({"data_file_path": f"{folder}/"}, logger, threading.Event())
    message = "x" * size
    begun_s = time.perf_counter()
    for _ in range(events):
        storage.put(message)
    put_s = time.perf_counter() - begun_s
    time.sleep(3.0)  # its writer is a thread of its own; what it has not written is no part of the drain
    taken, begun_s, moved_s = 0, time.perf_counter(), time.perf_counter()
    while taken < events and time.perf_counter() - moved_s < WAIT_S_MAX:
        pack = storage.get_event_pack()
        if pack:
            taken += len(pack)
            moved_s = time.perf_counter()
            storage.event_pack_processing_done()
    print(json.dumps({"taken": taken, "put_s": put_s, "drain_s": time.perf_counter() - begun_s}))
    storage.stop()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
