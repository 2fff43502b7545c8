"""Draw the pictures of docs/terminals.md: every role's home, and the fleet.

    python scripts/pictures.py

A site like any other is written into a database of its own, somebody of every role signs in, and Chromium looks.
"""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright
from sqlalchemy import text

from central.app import create_app
from central.identity.credentials import secret_hash
from central.identity.models import Membership, SignIn, User
from central.identity.permissions import Role
from central.kit.clock import SystemClock
from central.kit.config import Settings
from central.kit.db import make_engine, write_session
from central.kit.migrate import upgrade
from central.registry.record_models import DayPass, WorkerPaper
from simulators.filled_site import FilledSite, add_doubt, fill_site, quarantine_one
from simulators.servers import PostgresServer
from simulators.web import WebServer

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDTH = 1000
ORGANIZATION_OF = {
    Role.AUDITOR: "client",
    Role.CLIENT_OFFICIAL: "client",
    Role.CONTRACTOR: "prime",
    Role.SUBCONTRACTOR: "sub",
    Role.SUPPLIER: "sub",
}
ON_THE_SITE = {Role.SAFETY_OFFICER, Role.SUPERVISOR}
FLEET = """
UPDATE attendance_terminal_status SET last_tap_at = now() - interval '3 minutes', free_bytes = 12400000000,
  head_seq = 500, readers = '{"r1": "ok"}', versions = '{"agent": "1.5.0"}'
"""
TROUBLED = (
    "UPDATE attendance_terminal_status SET head_seq = 912 WHERE terminal_id = 5",
    """UPDATE attendance_terminal_status SET readers = '{"r1": "lost"}', versions = '{"agent": "1.4.2"}'
       WHERE terminal_id = 7""",
    "UPDATE attendance_terminal_status SET clock_state = 'rtc' WHERE terminal_id = 8",
    "UPDATE registry_terminal SET state = 'tested' WHERE id = 6",
)


def fill(engine: Engine, *, now: datetime) -> FilledSite:
    """Write three sites with people inside, papers that end, a visitor, and some trouble."""
    filled = fill_site(engine, now=now)
    add_doubt(engine, filled, now=now)
    fill_site(engine, now=now, code="site-08", name="서남 빗물펌프장", inside=12, seed=8)
    fill_site(engine, now=now, code="site-09", name="한강 보행교 (2공구)", inside=23, seed=9, quiet_gate=True)
    quarantine_one(engine, now=now)
    today = now.date()
    with write_session(engine) as session:
        for place, (kind, days) in enumerate((("safety_certificate", -3), ("visa", 1), ("visa", 12))):
            given = {"from_on": today - timedelta(days=300), "until_on": today + timedelta(days=days)}
            worker = filled.worker_ids[place]
            session.add(WorkerPaper(worker_id=worker, kind=kind, recorded_at=now, recorded_by="t", **given))
        visit = {"on_day": today, "entered_at": now - timedelta(hours=1), "recorded_by": "t"}
        session.add(DayPass(site_id=filled.site_id, kind="driver", name="박 기사", plate="12가3456", **visit))
        for statement in (FLEET, *TROUBLED):
            session.execute(text(statement))
    return filled


def cookies_of_everybody(engine: Engine, filled: FilledSite, *, now: datetime) -> dict[Role, str]:
    """Sign somebody of every role in; return their cookies."""
    cookies = {}
    with write_session(engine) as session:
        found = "SELECT DISTINCT ON (kind) kind, id FROM registry_organization ORDER BY kind, id"
        firms: dict[str, int] = {row.kind: row.id for row in session.execute(text(found))}
        for role in Role:
            cookies[role] = f"secret-{role}"
            given = {"secret_hash": secret_hash(cookies[role]), "expires_at": now + timedelta(hours=1)}
            if role is Role.WORKER:
                session.add(SignIn(worker_id=filled.worker_ids[0], **given))
                continue
            user = User(email=f"{role}@example.org", name=role.replace("_", " "), password_hash="none")  # noqa: S106 - of nobody
            session.add(user)
            session.flush()
            member = Membership(user_id=user.id or 0, role=role.value)
            member.organization_id = firms.get(ORGANIZATION_OF.get(role, ""))
            member.site_id = filled.site_id if role in ON_THE_SITE else None
            session.add(member)
            session.add(SignIn(user_id=user.id, **given))
    return cookies


def draw(url: str, cookies: dict[Role, str]) -> None:
    """Look at every home in Korean, and at the fleet in English."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium-headless-shell", args=["--no-sandbox"])
        shots = [(f"home-{role.replace('_', '-')}", "/", role, "ko", WIDTH) for role in Role]
        shots.append(("fleet", "/terminals", Role.SYSTEM_OPERATOR, "en", 1280))
        for name, path, role, language, width in shots:
            context = browser.new_context(viewport={"width": width, "height": 400}, reduced_motion="reduce")
            given = {"ccs_session": cookies[role], "ccs_language": language}
            context.add_cookies([{"name": key, "value": value, "url": url} for key, value in given.items()])
            page = context.new_page()
            page.goto(url + path)
            page.screenshot(path=IMAGES / f"{name}.png", full_page=True)
            print(f"{name}.png")
            context.close()
        browser.close()


def main() -> None:
    """Fill, sign in, draw."""
    now = SystemClock().now()
    with tempfile.TemporaryDirectory(prefix="ccs-pictures-") as folder:
        Path(folder).chmod(0o755)
        postgres = PostgresServer(Path(folder) / "postgres")
        postgres.start()
        try:
            database_url = postgres.url()
            upgrade(database_url)
            engine = make_engine(database_url)
            filled = fill(engine, now=now)
            cookies = cookies_of_everybody(engine, filled, now=now)
            settings = Settings(database_url=database_url, secret_key="s" * 32, secure_cookies=False)
            with WebServer(create_app(settings)) as server:
                draw(server.url, cookies)
            engine.dispose()
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
