from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from typer.testing import CliRunner, Result

from central.cli import app
from central.kit.clock import SystemClock
from central.kit.sealed import load_data_key
from central.registry.card_key import load_card_key
from simulators.clocks import HandClock
from simulators.visitor import Visitor
from simulators.web import WebServer

Run = Callable[..., Result]


@pytest.fixture
def run_central(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Run:
    monkeypatch.setenv("CCS_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "300")

    def run(*arguments: str, **more: str) -> Result:
        return CliRunner().invoke(app, list(arguments), **more)  # type: ignore[arg-type]

    return run


def test_a_made_token_opens_the_api_and_is_listed_and_revoked_without_its_secret(
    run_central: Run, registry_web: WebServer, site_seven: dict[str, int]
) -> None:
    assert site_seven
    made = run_central("token", "create", "--name", "site app", "--scope", "registry:*:read", "--site", "site-07")
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    headers = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{registry_web.url}/api/v1/sites/site-07", headers=headers).status_code == 200
    listed = run_central("token", "list").stdout
    assert "site app" in listed
    assert secret not in listed
    number = re.search(r"token (\d+) was made", made.stderr)
    assert number is not None
    assert run_central("token", "revoke", number[1]).exit_code == 0
    assert httpx.get(f"{registry_web.url}/api/v1/sites/site-07", headers=headers).status_code == 401
    again = run_central("token", "revoke", number[1])
    assert again.exit_code == 1
    assert "there is no API token" in again.stderr


def test_a_wrong_scope_or_role_is_answered_with_the_nearest(run_central: Run) -> None:
    wrong = run_central("token", "create", "--name", "x", "--scope", "site:headcount:reed")
    assert wrong.exit_code == 1
    assert "did you mean 'site:headcount:read'" in wrong.stderr
    wrong = run_central("user", "create", "--email", "a@b.test", "--name", "A", "--role", "oditor", "--generate")
    assert wrong.exit_code == 1
    assert "roles are association, auditor" in wrong.stderr


def test_an_account_is_made_with_a_generated_a_piped_or_a_typed_password(run_central: Run, database_url: str) -> None:
    def make(number: int, *more: str, **given: str) -> Result:
        email = f"user{number}@b.test"
        return run_central("user", "create", "--email", email, "--name", "A", "--role", "auditor", *more, **given)

    generated = make(1, "--generate")
    assert generated.exit_code == 0, generated.output
    assert len(generated.stdout.strip()) == 20
    assert make(2, "--password-stdin", input="a long enough one\n").exit_code == 0
    assert make(3, input="a long enough one\na long enough one\n").exit_code == 0
    short = make(4, "--password-stdin", input="short\n")
    assert short.exit_code == 1
    assert "use 10 to 200" in short.stderr
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT password_hash FROM identity_user").fetchall()
    assert len(rows) == 3
    assert all(row[0].startswith("$argon2id$") for row in rows)


def test_an_invitation_made_on_the_machine_opens_once_in_a_browser(
    run_central: Run, registry_web: WebServer, hand_clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_clock.at = SystemClock().now()
    given = ("user", "invite", "--email", "kim@b.test", "--name", "Kim", "--role", "auditor")
    refused = run_central(*given)
    assert refused.exit_code == 2
    assert "CCS_PUBLIC_URL is not set" in refused.stderr
    monkeypatch.setenv("CCS_PUBLIC_URL", registry_web.url)
    made = run_central(*given)
    assert made.exit_code == 0, made.output
    link = made.stdout.strip()
    assert link.startswith(f"{registry_web.url}/invitation/")
    with httpx.Client(headers={"accept": "text/html"}) as client:
        kim = Visitor(client)
        assert "kim@b.test" in client.get(link).text
        client.base_url = registry_web.url
        form = {"password": "a long enough one", "again": "a long enough one"}
        assert kim.send(link, **form).status_code == 303
        assert client.get(link).status_code == 410
    offered = run_central(*given)
    assert offered.exit_code == 0, "who has an account is offered the role"
    assert "/invitation/" in offered.stdout


def test_mail_that_goes_out_carries_the_invitation_and_nothing_else_does(
    run_central: Run, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data.key").write_text("ab" * 32)
    monkeypatch.setenv("CCS_PUBLIC_URL", "https://ccs.example")
    monkeypatch.setenv("CCS_SMTP_URL", "smtp://127.0.0.1:1")
    monkeypatch.setenv("CCS_DATA_KEY_FILE", str(tmp_path / "data.key"))
    made = run_central("user", "invite", "--email", "kim@b.test", "--name", "Kim", "--role", "auditor")
    assert made.exit_code == 0, made.output
    assert made.stdout == ""
    assert "is on its way" in made.stderr
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT recipient FROM kit_outgoing").fetchall() == [("kim@b.test",)]


def test_a_lost_second_factor_is_taken_away_on_the_machine(run_central: Run, database_url: str) -> None:
    make = ("user", "create", "--email", "kim@b.test", "--name", "Kim", "--role", "auditor", "--generate")
    assert run_central(*make).exit_code == 0
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO identity_totp (user_id, secret, made_at, confirmed_at, last_step)"
            " SELECT id, 'x', now(), now(), 0 FROM identity_user"
        )
    reset = run_central("user", "reset-factors", "--email", "Kim@b.test")
    assert reset.exit_code == 0, reset.output
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM identity_totp").fetchone() == (0,)
        tags = connection.execute("SELECT actor, tag FROM audit_event ORDER BY id").fetchall()
    assert ("system:cli", "factor:remove") in tags
    assert "check the address" in run_central("user", "reset-factors", "--email", "no@b.test").stderr


@pytest.mark.usefixtures("site_seven")
def test_the_audit_trail_is_verified_and_damage_located(run_central: Run, database_url: str) -> None:
    good = run_central("audit", "verify")
    assert good.exit_code == 0, good.output
    head = good.stdout.strip()
    run_central("token", "create", "--name", "x", "--scope", "site:headcount:read")
    assert run_central("audit", "verify", "--expect", head).exit_code == 0
    with psycopg.connect(database_url) as connection:
        connection.execute("SET session_replication_role = replica")  # as an intruder with every right
        connection.execute("DELETE FROM audit_event WHERE id = (SELECT max(id) FROM audit_event)")
        connection.execute("DELETE FROM audit_event WHERE id = (SELECT max(id) FROM audit_event)")
    cut = run_central("audit", "verify", "--expect", head)
    assert cut.exit_code == 1
    assert "rows were cut off" in cut.stderr
    with psycopg.connect(database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE audit_event SET actor = 'user:9' WHERE id = 2")
    edited = run_central("audit", "verify")
    assert edited.exit_code == 1
    assert "row 2 does not fit: its content was edited" in edited.stderr


def test_key_files_are_the_owners_only_and_never_overwritten(run_central: Run, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    made = run_central("keys", "create", str(folder))
    assert made.exit_code == 0, made.output
    card_key, signing, public, data_key = (Path(line) for line in made.stdout.split())
    assert stat.S_IMODE(card_key.stat().st_mode) == stat.S_IMODE(signing.stat().st_mode) == 0o600
    assert len(load_card_key(card_key) or b"") == len(load_data_key(data_key) or b"") == 32
    assert stat.S_IMODE(data_key.stat().st_mode) == 0o600
    assert card_key.read_bytes() != data_key.read_bytes()
    private = load_pem_private_key(signing.read_bytes(), password=None)
    assert private.public_key() == load_pem_public_key(public.read_bytes())
    before = card_key.read_bytes()
    again = run_central("keys", "create", str(folder))
    assert again.exit_code == 1
    assert "already holds card.key" in again.stderr
    assert card_key.read_bytes() == before


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("CCS_DATABASE_URL", "", "CCS_DATABASE_URL is not set"),
        ("CCS_WEB_PORT", "eighty", "expected a whole number"),
        ("CCS_SECURE_COOKIES", "perhaps", "expected true or false"),
        ("CCS_SECOND_FACTOR", "maybe", "expected required or offered"),
        ("CCS_SECRET_KEY", "short", "use at least 32"),
        ("CCS_WEB_PROT", "80", "did you mean CCS_WEB_PORT"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_expected(
    run_central: Run, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, said: str
) -> None:
    monkeypatch.setenv(setting, value)
    result = run_central("audit", "verify")
    assert result.exit_code == 2
    assert said in result.stderr


def process(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, with no settings but these."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("CCS_")}
    env |= {f"CCS_{name.upper()}": value for name, value in settings.items()} | {"COLUMNS": "300"}
    return subprocess.run(
        [sys.executable, "-m", "central", *arguments], env=env, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize(
    ("setting", "said"),
    [("web_port", "set CCS_WEB_HOST or CCS_WEB_PORT"), ("metrics_port", "set CCS_METRICS_PORT")],
)
def test_a_taken_port_is_explained(database_url: str, setting: str, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = process("web", database_url=database_url, secret_key="s" * 32, **{setting: port})
    assert done.returncode == 2, done.stderr
    assert said in done.stderr


def test_the_web_does_not_start_without_a_secret_of_its_own(database_url: str) -> None:
    done = process("web", database_url=database_url)
    assert done.returncode == 2, done.stderr
    assert "CCS_SECRET_KEY is not set: give at least 32 random characters" in done.stderr


def test_an_unreachable_or_empty_database_is_said_in_a_sentence(database_url: str) -> None:
    away = process("audit", "verify", database_url="postgresql://nobody@127.0.0.1:1/none")
    assert away.returncode == 1
    assert "check CCS_DATABASE_URL" in away.stderr
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP TABLE audit_event")
    empty = process("audit", "verify", database_url=database_url)
    assert empty.returncode == 1
    assert "run ccs-central migrate first" in empty.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["migrate"], "up to date"),
        (["token", "create", "--name", "x", "--scope", "site:*"], "keep it now"),
        (["user", "create", "--email", "a@b.test", "--name", "A", "--role", "auditor", "--generate"], "was made"),
        (["audit", "verify"], "0 rows, chain intact"),
    ],
)
def test_a_command_works_in_a_process_of_its_own(database_url: str, arguments: list[str], said: str) -> None:
    env = os.environ | {"CCS_DATABASE_URL": database_url}
    done = subprocess.run(
        [sys.executable, "-m", "central", *arguments], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stderr


def test_a_worker_loads_neither_tables_nor_pages() -> None:
    """A city's installation runs many: each starts, and holds memory, for what it does alone."""
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, central.cli.processes, central.worker; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert not {"sqlalchemy", "sqlmodel", "fastapi", "uvicorn"} & set(loaded.stdout.split())


def test_a_mistyped_command_is_answered_with_the_nearest(run_central: Run) -> None:
    wrong = run_central("imprt-undo", "7")
    assert wrong.exit_code == 2
    assert "Did you mean 'import-undo'" in wrong.output
