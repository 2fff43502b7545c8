"""API tokens that stand by themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from central.cli.telling import CLI_ACTOR, console, database, told
from central.identity.accounts import create_token, list_tokens, revoke_token
from central.kit.clock import SystemClock
from central.kit.db import read_session, write_session

app = typer.Typer(name="token", no_args_is_help=True, help="API tokens.")


@app.command("create")
@told
def token_create(
    token_name: Annotated[str, typer.Option("--name", help="What holds it, e.g. 'site app'.")],
    scope: Annotated[list[str], typer.Option(help="A permission, or a pattern like 'registry:*:read'. Repeatable.")],
    site: Annotated[str | None, typer.Option(help="Code of the only site it is good for.")] = None,
    expires_days: Annotated[int | None, typer.Option(min=1, max=3650, help="Good for this long.")] = None,
) -> None:
    """Make an API token. Standard output is the token alone, once."""
    now = SystemClock().now()
    expires_at = now + timedelta(days=expires_days) if expires_days else None
    with database() as engine, write_session(engine) as session:
        token_id, secret = create_token(
            session, name=token_name, scopes=scope, site=site, expires_at=expires_at, actor=CLI_ACTOR, now=now
        )
    console.print(f"token {token_id} was made; keep it now, it is not shown again:")
    typer.echo(secret)


@app.command("list")
@told
def token_list() -> None:
    """Show every token, without secrets."""
    with database() as engine, read_session(engine) as session:
        rows = list_tokens(session)
    table = Table("id", "name", "site", "scopes", "made", "ends", "state")
    now = SystemClock().now()
    for row in rows:
        over = row.expires_at is not None and row.expires_at <= now
        state = "expired" if over else "revoked" if row.revoked_at else "good"
        ends = f"{row.expires_at:%Y-%m-%d}" if row.expires_at else "never"
        scopes = ", ".join(row.scopes)
        table.add_row(str(row.id), row.name, row.site or "every", scopes, f"{row.created_at:%Y-%m-%d}", ends, state)
    Console().print(table)


@app.command("revoke")
@told
def token_revoke(token_id: int) -> None:
    """Revoke a token everywhere within seconds."""
    with database() as engine, write_session(engine) as session:
        revoke_token(session, token_id=token_id, actor=CLI_ACTOR, now=SystemClock().now())
    console.print(f"token {token_id} is revoked")
