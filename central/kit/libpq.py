"""How every connection to PostgreSQL notices that its server vanished without a word: a machine off, a route gone.

TCP alone would wait a quarter of an hour for an answer to what was sent, and two hours where nothing is to be sent: a
worker that stores nothing and a page that shows no news, both without any error.
"""

from __future__ import annotations

from typing import Any

UNANSWERED_MS_MAX = 10_000
SILENT_S_MAX = 10
PROBE_S = 5
PROBES_MAX = 2

VANISHED: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": SILENT_S_MAX,
    "keepalives_interval": PROBE_S,
    "keepalives_count": PROBES_MAX,
    "tcp_user_timeout": UNANSWERED_MS_MAX,
}
"""libpq's own words; parameters of `connect`."""
