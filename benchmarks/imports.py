"""How long taking a roll of workers in takes, against reading the file and a bare COPY of the rows it makes.

    python benchmarks/imports.py [--workers 10000] [--rounds 5]

Each round is a fresh site on one server: plain reading of the sheet, a bare COPY of every row into the same tables
(with their keys and constraints), then the whole import as the page does it: opened part by part, checked, written,
audited, told of. Undoing it and 500 subcontracts stand beside it. Prints JSON, each figure the median of the rounds.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xlsxwriter  # type: ignore[import-untyped]  # ships no types
from python_calamine import CalamineWorkbook
from sqlalchemy import text

from central.kit.clock import SystemClock
from central.kit.db import make_engine, psycopg_of, read_session, write_session
from central.kit.migrate import upgrade
from central.registry import imports
from central.registry.import_models import Import
from central.registry.import_runs import Asker, Run
from central.registry.imports import Place
from central.registry.models import Organization, Project, Site, SiteEmployer
from simulators.servers import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Engine

    from central.kit.db import WriteSession

FROM = date(2026, 11, 1)
SUBCONTRACTS = 500
HEADS = (
    *("name", "employer", "trade", "from_on", "worker_no", "birth_on", "nationality", "phone", "card_token"),
    *("safety_no", "safety_from_on", "wage_won"),
)
TABLES = (
    "registry_worker",
    "registry_employment",
    "registry_card",
    "registry_card_assignment",
    "registry_card_event",
    "registry_worker_paper",
    "registry_labour_contract",
)


def roll(workers: int, seed: int) -> bytes:
    """Write a roll as a spreadsheet would."""
    first = seed * 1_000_000
    return book(
        [
            HEADS,
            *(
                (
                    *(f"김철수{number}", "1248100998", "철근공", "2026-11-01", f"W{first + number}"),
                    *(f"19{50 + number % 50}-05-17", "KR", f"010-{number % 10_000:04d}-5678"),
                    *(f"{first + number:032x}", f"S-{number}", "2020-03-01", 180_000 + number % 100),
                )
                for number in range(workers)
            ),
        ]
    )


def contracts(seed: int) -> bytes:
    """Write a chain of one prime contract and its subcontracts."""
    heads = ("ref", "above", "kind", "contractor", "work", "amount_won", "begins_on", "ends_on")
    prime = ("p", "", "prime", "1248100998", f"work {seed}", 90_000_000_000, "2026-01-05", "2027-12-20")
    subs = (
        (f"s{number}", "p", "sub", "Sub", f"work {number}", 1_000_000, "2026-02-01", "2026-12-30")
        for number in range(SUBCONTRACTS)
    )
    return book([heads, prime, *subs])


def book(rows: Sequence[Sequence[Any]]) -> bytes:
    """Write rows as XLSX."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as made:
        page = made.add_worksheet()
        for number, row in enumerate(rows):
            page.write_row(number, 0, row)
    return out.getvalue()


class Stage:
    """A database with two firms, and places made as they are needed."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.clock = SystemClock()
        with write_session(engine) as session:
            self.client = self._add(session, Organization(name="City", kind="client"))
            self.prime = self._add(session, Organization(name="Prime", kind="prime", business_no="1248100998"))
            self._add(session, Organization(name="Sub", kind="sub"))

    @staticmethod
    def _add(session: WriteSession, row: Any) -> int:  # noqa: ANN401 - a row of any table
        session.add(row)
        session.flush()
        return int(row.id)

    def site(self, code: str) -> tuple[int, int]:
        """Make a project with a site; return (project, site)."""
        with write_session(self.engine) as session:
            project = self._add(session, Project(code=code, name=code, client_id=self.client))
            site = self._add(session, Site(code=code, name=code, project_id=project))
            employer = SiteEmployer(site_id=site, organization_id=self.prime, tier="prime", from_on=FROM)
            self._add(session, employer)
        return project, site

    def upload(self, place: Place, content: bytes) -> int:
        """Keep a file."""
        now = self.clock.now()
        with write_session(self.engine) as session:
            row = imports.upload(session, place=place, file="a.xlsx", content=content, actor="bench", now=now)
        return row.id or 0

    def run(self, import_id: int, event: str) -> Import:
        """Move an import along, as a page does, and return it."""
        with write_session(self.engine) as session:
            row = imports.any_import(session, import_id)
            imports.ask(session, row=row, event=event, actor="bench", now=self.clock.now())
        Run(self.engine, import_id, asker=Asker("bench"), card_key=None, clock=self.clock)()
        with read_session(self.engine) as session:
            return imports.any_import(session, import_id)


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def rows_made(engine: Engine) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
    """Read every row of the tables, to be copied bare into emptied ones."""
    found = {}
    with read_session(engine) as session:
        for table in TABLES:
            answer = session.execute(text(f"SELECT * FROM {table}"))
            found[table] = (list(answer.keys()), [tuple(row) for row in answer])
    return found


def bare_copy(engine: Engine, rows: dict[str, tuple[list[str], list[tuple[Any, ...]]]]) -> None:
    """COPY rows into their tables in one transaction."""
    with write_session(engine) as session, psycopg_of(session).cursor() as cursor:
        for table, (columns, lines) in rows.items():
            with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()) as copy:
                for line in lines:
                    copy.write_row(line)


def emptied(engine: Engine) -> None:
    """Empty the tables, for a round of the same rows."""
    with write_session(engine) as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for table in ("registry_import_row", *reversed(TABLES)):
            session.execute(text(f"DELETE FROM {table}"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def one_round(stage: Stage, seed: int, workers: int) -> dict[str, float]:
    """Measure one round; everything in it is of one site."""
    content = roll(workers, seed)
    read = timed(lambda: CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python())
    project, site = stage.site(f"site-{seed}")
    import_id = stage.upload(Place("roll", site_id=site), content)
    check = timed(lambda: stage.run(import_id, "check"))
    take = timed(lambda: stage.run(import_id, "take"))
    rows = rows_made(stage.engine)
    undo = timed(lambda: stage.run(import_id, "undo"))
    with read_session(stage.engine) as session:
        row = imports.any_import(session, import_id)
    if row.state != "undone" or row.found["counts"]["workers"] != workers:
        raise RuntimeError(f"the import ended {row.state}: {str(row.found)[:500]}")
    emptied(stage.engine)
    copy = timed(lambda: bare_copy(stage.engine, rows))
    emptied(stage.engine)
    chain = stage.upload(Place("contracts", project_id=project), contracts(seed))
    stage.run(chain, "check")
    subcontracts = timed(lambda: stage.run(chain, "take"))
    return {"read": read, "copy": copy, "check": check, "take": take, "undo": undo, "subcontracts": subcontracts}


def main() -> None:
    """Measure and print JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--workers", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ccs-bench-"))
    folder.chmod(0o777)
    server = PostgresServer(folder / "postgres", settings={"fsync": "off"})
    server.start()
    try:
        upgrade(server.url())
        engine = make_engine(server.url())
        stage = Stage(engine)
        rounds = [one_round(stage, seed, given.workers) for seed in range(given.rounds)]
        engine.dispose()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    medians = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    ratios = [one["take"] / (one["read"] + one["copy"]) for one in rounds]
    print(
        json.dumps(
            {
                "workers": given.workers,
                "of_read_and_copy": round(statistics.median(ratios), 2),
                "of_read_and_copy_worst": round(max(ratios), 2),
                "seconds": {name: round(value, 3) for name, value in medians.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
