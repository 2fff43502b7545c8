"""How the figures of `benchmarks.drain` and `benchmarks.rivals` read as rows of docs/performance.md."""

from __future__ import annotations

from typing import Any

Row = tuple[str, str, str]
"""What, goal, measured."""
_WAYS = {
    "paho_pydantic_executemany": ("paho + pydantic + executemany, acknowledged after the commit", "≥ 4 ×"),
    "node_red_row": ("Node-RED, a row a message", "≥ 8 ×"),
    "node_red_batch": ("Node-RED, its best batched flow", "≥ 3 ×"),
}


def drain_rows(found: dict[str, Any]) -> list[Row]:
    """Read `benchmarks.drain`."""
    calm, drain, memory = found["screen"]["calm"], found["screen"]["drain"], found["worker_mb"]
    rates = f"{found['drain_per_s']:,.0f} of {found['ingest_per_s']:,.0f} taps/s"
    return [
        (
            f"{found['backlog']:,} buffered taps return ÷ ingest's own rate",
            "≥ 80 %",
            f"{found['drain_of_ingest'] * 100:.1f} % ({rates})",
        ),
        (
            "fresh tap of another site → screen meanwhile, p99",
            "≤ 3 × calm",
            (
                f"{found['p99_times_calm']:.2f} × ({drain['p99_ms']:.0f} ms of {drain['taps']:,} taps,"
                f" calm {calm['p99_ms']:.0f} ms)"
            ),
        ),
        (
            "worker's memory meanwhile: first third, last third, most",
            "≤ 300 MB, flat",
            f"{memory['first_third']:.0f}, {memory['last_third']:.0f}, {memory['most']:.0f} MB",
        ),
    ]


def rivals_rows(found: dict[str, Any]) -> list[Row]:
    """Read `benchmarks.rivals`; whoever could not be had is not in it."""
    ways, storage = found["ingest"], found["storage"]
    ours = ways["ours"]
    rows = [
        (
            "ours, one tap a message, with presence, chain check and raw bytes",
            "the measure",
            f"{ours['rows_per_s']:,.0f} rows/s; {ours['lost_at_kill']:,} of {ours['of_taps']:,} lost at kill -9",
        )
    ]
    for name, (words, goal) in _WAYS.items():
        if name in ways:
            way = ways[name]
            rows.append(
                (
                    f"ours ÷ {words}",
                    goal,
                    (
                        f"{way['ours_times_faster']:.1f} × ({way['rows_per_s']:,.0f} rows/s;"
                        f" {way['lost_at_kill']:,} of {way['of_taps']:,} lost at kill -9)"
                    ),
                )
            )
    if storage:
        mine, theirs = storage["journal"], storage["gateway"]
        rows.append(
            (
                "journal drain ÷ ThingsBoard Gateway's SQLite storage",
                "≥ 5 ×",
                (
                    f"{storage['journal_times_faster']:.1f} × ({mine['per_s']:,.0f} of {theirs['per_s']:,.0f} events/s;"
                    f" a put takes {mine['put_us']:.0f} µs to the disk, theirs {theirs['put_us']:.0f} µs to a queue)"
                ),
            )
        )
    return rows
