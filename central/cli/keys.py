"""Key files."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from central.cli.telling import told
from central.kit.keys import write_keys

app = typer.Typer(name="keys", no_args_is_help=True, help="Key files.")


@app.command("create")
@told
def keys_create(
    folder: Annotated[Path, typer.Argument(help="Where the files are written; made when missing.")],
) -> None:
    """Make the card key, the data key and the signing key pair, readable by this user only. Never overwrites."""
    for path in write_keys(folder, random=secrets.token_bytes):
        typer.echo(str(path))
