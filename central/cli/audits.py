"""The audit trail, from the machine."""

from __future__ import annotations

from typing import Annotated

import typer

from central.audit.service import verify_chain
from central.cli.telling import EXIT_REFUSED, console, database, refuse, told
from central.kit.db import read_session

audits = typer.Typer(no_args_is_help=True, help="The audit trail.")


@audits.command("verify")
@told
def audit_verify(
    expect: Annotated[str | None, typer.Option(help="A head printed earlier: proves that nothing was cut off.")] = None,
) -> None:
    """Walk the audit trail's hash chain from its first row; print its head."""
    expected = _hash_option(expect)
    with database() as engine, read_session(engine) as session:
        report = verify_chain(session, expected=expected)
    if report.broken_at is not None:
        refuse(f"row {report.broken_at} does not fit: {report.reason}")
        raise typer.Exit(EXIT_REFUSED)
    if expected is not None and not report.seen_expected:
        refuse("the expected head is not in the chain: rows were cut off, or it is of another one")
        raise typer.Exit(EXIT_REFUSED)
    console.print(f"{report.rows} rows, chain intact; head:")
    typer.echo(report.head.hex())


def _hash_option(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise typer.BadParameter("expected 64 hexadecimal characters, as audit verify prints them") from error
