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
_GATEWAYS = (
    ("documented", "1,000 a pack as documented", "≥ 5 ×"),
    ("shipped", "10 a pack as in the file it ships", "beside it"),
)


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
            (
                f"{ours['rows_per_s']:,.0f} rows/s; {_cost(ours)};"
                f" {ours['lost_at_kill']:,} of {ours['of_taps']:,} lost at kill -9"
            ),
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
                        f"{way['ours_times_faster']:.1f} × ({way['rows_per_s']:,.0f} rows/s; {_cost(way)};"
                        f" {way['lost_at_kill']:,} of {way['of_taps']:,} lost at kill -9)"
                    ),
                )
            )
    if storage:
        rows += storage_rows(storage)
    return rows


def _cost(way: dict[str, Any]) -> str:
    """Say what a row costs in processor time, all together and the program's own part."""
    cost = way["cpu_us_a_row"]
    return f"{sum(cost.values()):.0f} µs of processor a row, {cost['program']:.0f} of them the program's"


def storage_rows(found: dict[str, Any]) -> list[Row]:
    """Read `benchmarks.rivals_storage`."""
    mine = found["journal"]
    rows = []
    for name, words, goal in _GATEWAYS:
        other = found["gateway"][name]
        rates = (
            f"{mine['per_s']:,.0f} of {other['per_s']:,.0f} events/s,"
            f" {mine['cpu_us']:.1f} and {other['cpu_us']:.1f} µs of processor each"
        )
        deleting = f"{other['journal_deleting_too_times_faster']:.1f} × when we delete as many at once"
        rows.append(
            (
                f"journal drain ÷ ThingsBoard Gateway's SQLite storage, {words}",
                goal,
                f"{other['journal_times_faster']:.1f} × ({rates}; {deleting})",
            )
        )
    other = found["gateway"]["documented"]
    put = f"{mine['put_us']:,.0f} µs, on the disk when it returns"
    theirs = f"{other['put_us']:,.0f} µs to a queue, {other['written_us']:,.0f} µs until written, never synced"
    return [*rows, ("a put of ours, and of theirs", "beside it", f"{put}; {theirs}")]
