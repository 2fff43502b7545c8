"""Real servers for the tests: one PostgreSQL and one Mosquitto a worker process, a fresh migrated database a test."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from hypothesis import HealthCheck, Phase, settings
from playwright.sync_api import sync_playwright

from central.kit.migrate import upgrade
from simulators.servers import EmbeddedBroker, MosquittoBroker, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

# Thousands of mutants: each property tries a few of its examples, the same ones each time.
settings.register_profile(
    "mutmut",
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# How long drawing an example takes says how busy the machine is, not whether the product is right.
settings.register_profile(
    "busy",
    max_examples=100 if os.environ.get("CCS_LONG") else 50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "mutant",  # that a test fails is all that is asked, not the smallest example
    parent=settings.get_profile("busy"),
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile("busy")

FORGETFUL = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB"}
"""Nobody needs a test's database after its test, and most of a test's time would be spent on making it last."""
MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 4 << 30
"""Some runs at once, each with a server whose largest database holds a few hundred thousand taps."""
PHONE_AND_DESK = (360, 1280)
VIOLATIONS = """() => axe.run(document, { resultTypes: ["violations"] }).then(found =>
  found.violations.map(one => one.id + ": " + one.nodes[0].html.slice(0, 200)))"""
"""Only what is wrong leaves the browser: all that axe passed takes longer to tell than to find."""
CUT_OFF = """() => {
  const edge = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= edge) return [];
  const scrolls = one => one && (getComputedStyle(one).overflowX !== "visible" || scrolls(one.parentElement));
  const beyond = one => one.getBoundingClientRect().right > edge && !scrolls(one.parentElement);
  return [...document.querySelectorAll("body *")].filter(beyond).slice(-3).map(one => one.outerHTML.slice(0, 200));
}"""
"""What reaches beyond the right edge of a page that has to be pushed sideways to be read."""
_numbers = itertools.count(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long forms to the make targets that ask for them."""
    if os.environ.get("CCS_LONG"):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if not item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder that an unprivileged server process can reach."""
    folder = Path(tempfile.mkdtemp(prefix="ccs-test-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def memory_folder(server_folder: Path) -> Iterator[Path]:
    """A folder in memory where there is enough of it: copying a template database is ten times as fast there."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_BYTES_MIN:
        yield server_folder
        return
    folder = Path(tempfile.mkdtemp(prefix="ccs-test-", dir=MEMORY))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(memory_folder: Path) -> Iterator[PostgresServer]:
    """The tests' PostgreSQL, with a migrated template database."""
    server = PostgresServer(memory_folder / "postgres", settings=FORGETFUL)
    server.start()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE ccs_template")
    upgrade(server.url("ccs_template"))
    yield server
    server.stop()


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """The address of a fresh database, migrated to head."""
    name = f"ccs_{next(_numbers)}"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE ccs_template STRATEGY file_copy')  # type: ignore[call-overload]
    yield postgres.url(name)
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[call-overload]


@pytest.fixture
def mosquitto(server_folder: Path) -> Iterator[MosquittoBroker]:
    """A real Mosquitto with an empty queue."""
    broker = MosquittoBroker(server_folder / f"mosquitto-{next(_numbers)}")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def embedded_broker(server_folder: Path) -> Iterator[EmbeddedBroker]:
    """The broker from a wheel that the demo uses."""
    broker = EmbeddedBroker(server_folder / f"broker-{next(_numbers)}")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A real browser; for a module and no longer, because Playwright holds the thread's event loop while it is open."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium-headless-shell", args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def check_page() -> Callable[[Page, str], None]:
    """Check an open page on a phone and on a desk: axe finds nothing, nothing is cut off, the language is right.

    `where` names the page in what the failure says.
    """
    axe = Axe().axe_script

    def check(page: Page, where: str) -> None:
        asked = {one["name"]: one["value"] for one in page.context.cookies()}.get("ccs_language")
        if asked:
            assert page.locator("html").get_attribute("lang") == asked, where
        page.evaluate(axe)
        for width in PHONE_AND_DESK:
            page.set_viewport_size({"width": width, "height": 780})
            assert page.evaluate(VIOLATIONS) == [], f"{where} at {width}"
            assert page.evaluate(CUT_OFF) == [], f"{where} at {width}"

    return check
