"""A PostgreSQL put back to an earlier copy of itself, as after a lost disk: pg_basebackup, and the copy restored."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from simulators.servers import ServerUnavailable, postgres_programs

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.servers import PostgresServer


def take_base_backup(server: PostgresServer, target: Path) -> None:
    """Copy a running server to `target`, whose folder the server's user can write to; raise `ServerUnavailable`."""
    program = postgres_programs(as_root=server.user is not None) / "pg_basebackup"
    done = subprocess.run(
        [str(program), "--dbname", server.url(), "--pgdata", str(target), "--checkpoint", "fast", "--no-sync"],
        capture_output=True,
        text=True,
        check=False,
        user=server.user,
        group=server.user,
        extra_groups=[] if server.user else None,
    )
    if done.returncode != 0:
        raise ServerUnavailable(f"pg_basebackup could not copy {server.url()}: {done.stderr.strip()}")


def restore_base_backup(server: PostgresServer, backup: Path) -> None:
    """Kill the server, replace all it holds by a copy of `backup`, and start it again. The backup can be used again."""
    server.kill()
    shutil.rmtree(server.data)
    shutil.copytree(backup, server.data)
    if server.user is not None:
        for path in (server.data, *server.data.rglob("*")):
            os.chown(path, server.user, server.user, follow_symlinks=False)
    server.start()
