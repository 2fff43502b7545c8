"""Measure every number of docs/performance.md, one benchmark after another, and write its table anew.

`python -m benchmarks [NAME …] [--quick]`. Each benchmark is a program of its own that prints one JSON object; what is
compared is always measured in one run of it, in turns, so that a busy moment hits both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.rows_of_a_city import drain_rows, rivals_rows

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
RUN_S_MAX = 3_600

Row = tuple[str, str, str]
"""What, goal, measured."""


@dataclass(frozen=True)
class Benchmark:
    """A program to run, with fewer rounds when `--quick`, and how to read its answer."""

    module: str
    arguments: tuple[str, ...]
    quick: tuple[str, ...]
    rows: Callable[[dict[str, Any]], list[Row]]


def _times(value: float) -> str:
    return f"{value:.2f} ×"


def _share(value: float) -> str:
    return f"{value * 100:.1f} %"


def journal_rows(found: dict[str, Any]) -> list[Row]:
    """Read `benchmarks.journal`."""
    m = found["medians"]
    bare = f"journal {m['journal_p50_us']:.0f} µs, bare {m['bare_p50_us']:.0f} µs"
    bare99 = f"journal {m['journal_p99_us']:.0f} µs, bare {m['bare_p99_us']:.0f} µs"
    return [
        ("one tap to durable ÷ bare append + fsync, p50", "≤ 1.2 ×", f"{_times(m['p50_ratio'])} ({bare})"),
        ("the same, p99", "≤ 1.5 ×", f"{_times(m['p99_ratio'])} ({bare99})"),
    ]


def agent_rows(found: dict[str, Any]) -> list[Row]:
    """Read `benchmarks.agent`."""
    return [
        ("card in → answer out without the disk, p99", "≤ 2 ms", f"{found['card_to_answer']['p99_ms']:.2f} ms"),
        ("terminal: resident memory, screen included", "≤ 60 MB", f"{found['rss_mb']:.1f} MB"),
        ("terminal: CPU when idle", "≤ 1 %", f"{found['idle_cpu_percent']:.2f} %"),
    ]


def ingest_rows(found: dict[str, Any]) -> list[Row]:
    """Read `benchmarks.ingest`."""
    of, per_s = found["of_bare_copy"], found["taps_per_s"]

    def measured(name: str) -> str:
        return f"{_share(of[name])} ({per_s[name]:,.0f} taps/s)"

    return [
        ("bare binary COPY of the same rows", "the limit", f"{per_s['copy']:,.0f} rows/s"),
        ("ingest, one tap a message", "≥ 25 %", measured("ours_1")),
        ("ingest, 50 taps a message", "≥ 33 %", measured("ours_50")),
        ("two workers ÷ one, one tap a message", "≥ 90 %", _share(found["two_workers_of_one"]["ours_1"])),
        ("two workers ÷ one, 50 taps a message", "≥ 90 %", _share(found["two_workers_of_one"]["ours_50"])),
        ("worker: resident memory at most", "≤ 300 MB", f"{found['worker_rss_mb_max']:.0f} MB"),
        ("row by row, as a flow tool does", "beside it", measured("row_by_row")),
        ("the tutorial way: aiomqtt + SQLModel, a commit a tap", "beside it", measured("tutorial")),
    ]


def history_rows(found: dict[str, Any]) -> list[Row]:
    """Read `benchmarks.history`."""
    grown = f"{found['taps_small']:,} → {found['taps_big']:,} stored taps"
    again = found["recompute_s_a_million"]

    def slower(name: str) -> str:
        one = found[name]
        return f"{_times(one['times_slower'])} ({one['small_ms']:.1f} → {one['big_ms']:.1f} ms)"

    return [
        (f"headcount of a site, {grown}", "≤ 1.1 ×", slower("headcount")),
        ("a worker's month", "≤ 1.1 ×", slower("worker_month")),
        ("who was inside on the last working day", "beside it", slower("look_back")),
        ("all presence from zero", "linear", f"{again['small']:.1f} → {again['big']:.1f} s a million taps"),
    ]


def headcount_rows(found: dict[str, Any]) -> list[Row]:
    """Read `benchmarks.headcount`."""
    history, stream = found["history"], found["stream"]
    rates = f"{found['headcount_per_s']:,} of {found['prebuilt_per_s']:,} requests/s"
    grown = f"{history['taps_small']:,} → {history['taps_big']:,} stored taps"
    return [
        (
            "headcount with access check ÷ prebuilt bytes",
            "≥ 50 %",
            f"{_share(found['headcount_of_prebuilt'])} ({rates})",
        ),
        (f"headcount, {grown}", "≤ 1.2 × slower", _times(history["times_slower"])),
        (
            f"one change to {stream['watchers']:,} watchers",
            "CPU a broadcast",
            f"{stream['cpu_ms_a_broadcast']} ms; the last one has it after {stream['change_to_last_watcher_ms']} ms",
        ),
    ]


def access_rows(found: dict[str, Any]) -> list[Row]:
    """Read `benchmarks.access`."""
    rows = []
    for name, ms in found["median_ms"].items():
        told = f"{_share(found['guards_share'][name])} guards, {_share(found['access_share'][name])} with the rows cut"
        rows.append((f"access check of a warm request: {name}", "≤ 10 %", f"{told} (of {ms['checked']:.1f} ms)"))
    return rows


def list_rows(found: dict[str, Any]) -> list[Row]:
    """Read `benchmarks.lists`."""
    rows = [("a page that lists nothing", "beside it", f"{found['nothing_listed_ms']:.1f} ms")]
    for name, one in found["pages"].items():
        told = f"{_times(one['page_over_query'])} ({one['page_ms']:.1f} of {one['one_query_ms']:.2f} ms;"
        told += f" {one['waited_for_queries_ms']:.1f} ms waiting for all {one['queries']})"
        rows.append((f"{name}: page ÷ its one query", "≤ 3 ×", told))
    return rows


def screen_rows(found: dict[str, Any]) -> list[Row]:
    """Read `benchmarks.screen`."""
    m = found["medians"]
    return [
        ("card held → green at the terminal", "p50 / p99", f"{m['green_p50_ms']:.1f} / {m['green_p99_ms']:.1f} ms"),
        (
            "card held → the officer's stream says so",
            "p50 / p99",
            f"{m['screen_p50_ms']:.0f} / {m['screen_p99_ms']:.0f} ms",
        ),
    ]


def import_rows(found: dict[str, Any]) -> list[Row]:
    """Read `benchmarks.imports`."""
    s = found["seconds"]
    plain = f"{s['take']:.2f} s ÷ ({s['read']:.2f} s reading + {s['copy']:.2f} s COPY)"
    return [
        (
            f"import of {found['workers']:,} workers ÷ reading the file and a bare COPY",
            "≤ 5 ×",
            f"{_times(found['of_read_and_copy'])} ({plain})",
        ),
        (
            "its dry run, undoing it, 500 subcontracts",
            "beside it",
            f"{s['check']:.2f}, {s['undo']:.2f}, {s['subcontracts']:.2f} s",
        ),
    ]


BENCHMARKS = {
    "journal": Benchmark("benchmarks.journal", (), ("--rounds", "3", "--taps", "300"), journal_rows),
    "agent": Benchmark("benchmarks.agent", (), (), agent_rows),
    "ingest": Benchmark("benchmarks.ingest", (), ("--quick",), ingest_rows),
    "headcount": Benchmark(
        "benchmarks.headcount", ("--taps", "10000000"), ("--taps", "100000", "--rounds", "2"), headcount_rows
    ),
    "access": Benchmark("benchmarks.access", (), ("--requests", "100"), access_rows),
    "lists": Benchmark("benchmarks.lists", (), ("--rounds", "5"), list_rows),
    "history": Benchmark("benchmarks.history", (), ("--months", "2", "--rounds", "2"), history_rows),
    "imports": Benchmark("benchmarks.imports", (), ("--workers", "1000", "--rounds", "2"), import_rows),
    "screen": Benchmark("benchmarks.screen", (), ("--workers", "20", "--days", "2"), screen_rows),
    "drain": Benchmark("benchmarks.drain", (), ("--quick",), drain_rows),
    "rivals": Benchmark("benchmarks.rivals", (), ("--quick",), rivals_rows),
}


def run(benchmark: Benchmark, *, quick: bool) -> dict[str, Any]:
    """Run one program; raise `RuntimeError` with its words when it fails."""
    command = [sys.executable, "-m", benchmark.module, *(benchmark.quick if quick else benchmark.arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False, timeout=RUN_S_MAX)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: see what it printed above")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def write_page(tables: dict[str, list[Row]]) -> None:
    """Put the tables between the marks of the page; those of benchmarks that did not run stay as they are."""
    page = PAGE.read_text()
    head, _, rest = page.partition(BEGIN)
    old, _, tail = rest.partition(END)
    kept = {part.split("\n", 1)[0]: part for part in old.split("### ")[1:]}
    for name, rows in tables.items():
        lines = [f"{name}", "", "| what | goal | measured |", "|---|---|---|"]
        lines += [f"| {what} | {goal} | {measured} |" for what, goal, measured in rows]
        kept[name] = "\n".join(lines) + "\n\n"
    ordered = "".join(f"### {kept[name]}" for name in BENCHMARKS if name in kept)
    PAGE.write_text(head + BEGIN + "\n" + ordered + END + tail)


def main() -> None:
    """Parse the command line, run, print each table and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="which ones; all when none is named")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and the page stays as it is")
    options = parser.parse_args()
    tables: dict[str, list[Row]] = {}
    for number, name in enumerate(options.names or BENCHMARKS, 1):
        load = os.getloadavg()[0]
        total = len(options.names or BENCHMARKS)
        print(f"[{number}/{total}] {name} (load {load:.1f}) …", file=sys.stderr)
        tables[name] = BENCHMARKS[name].rows(run(BENCHMARKS[name], quick=options.quick))
        for what, goal, measured in tables[name]:
            print(f"{what:<55} {goal:<16} {measured}")
        if not options.quick:
            write_page(tables)  # at once: what was measured for an hour is not lost with the next
    if not options.quick:
        print(f"{PAGE.relative_to(ROOT)} is written: {os.cpu_count()} cores, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
