"""The keys that receipts of taps are signed with, from the machine."""

from __future__ import annotations

import base64
from typing import Annotated

import typer

from central.cli.telling import CLI_ACTOR, console, database, told
from central.kit.clock import SystemClock
from central.kit.config import load_settings
from central.kit.db import read_session, write_session
from central.kit.sealed import Seal, load_data_key
from central.myself import receipt_keys

app = typer.Typer(name="receipts", no_args_is_help=True, help="Keys of the receipts that workers hold.")


@app.command("keys")
@told
def list_keys() -> None:
    """List every key: number, state, public half."""
    with database() as engine, read_session(engine) as session:
        for row in receipt_keys.keys(session):
            state = "withdrawn" if row.withdrawn_at else "verifies" if row.retired_at else "signs"
            public = base64.urlsafe_b64encode(row.public_key).rstrip(b"=").decode()
            typer.echo(f"{row.id}\t{state}\t{row.made_at:%Y-%m-%d}\t{public}")


@app.command("rotate")
@told
def rotate() -> None:
    """Let a new key sign from now on. What older ones signed stays genuine; their private halves are destroyed."""
    seal = Seal(load_data_key(load_settings().data_key_file))
    with database() as engine, write_session(engine) as session:
        made = receipt_keys.rotate(session, seal, actor=CLI_ACTOR, now=SystemClock().now())
    console.print(f"key {made} signs from now on", highlight=False)


@app.command("withdraw")
@told
def withdraw(
    key: Annotated[int, typer.Argument(help="The key's number.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Believe nothing any more that a key signed: its private half became known. This cannot be undone."""
    if not yes:
        typer.confirm(f"Every receipt that key {key} signed is refused from then on. Go on?", abort=True)
    with database() as engine, write_session(engine) as session:
        receipt_keys.withdraw(session, key_id=key, actor=CLI_ACTOR, now=SystemClock().now())
    console.print(f"key {key} is withdrawn; workers get new receipts from their own page", highlight=False)
