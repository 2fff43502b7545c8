"""The audit trail, from the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from central.audit.anchors import Anchor, add_anchor, read_anchors, verify
from central.audit.service import ChainReport, verify_chain
from central.cli.telling import EXIT_REFUSED, console, database, refuse, told
from central.kit.clock import SystemClock
from central.kit.db import read_session

app = typer.Typer(name="audit", no_args_is_help=True, help="The audit trail.")


@app.command("verify")
@told
def audit_verify(
    anchors: Annotated[
        Path | None,
        typer.Option(help="A file of anchors kept elsewhere: proves that nothing was cut off or rewritten."),
    ] = None,
    expect: Annotated[str | None, typer.Option(help="A head printed earlier, in place of such a file.")] = None,
) -> None:
    """Walk the audit trail's hash chain from its first row; print its head."""
    expected, kept = _hash_option(expect), read_anchors(anchors) if anchors else []
    with database() as engine, read_session(engine) as session:
        verdict = verify(session, kept)
        report = verdict.chain if expected is None else verify_chain(session, expected=expected)
    _refuse_broken(report)
    if verdict.missed is not None:
        refuse(f"the anchor of {verdict.missed.at:%Y-%m-%d %H:%M} UTC does not fit: {verdict.reason}")
        raise typer.Exit(EXIT_REFUSED)
    if expected is not None and not report.seen_expected:
        refuse("the expected head is not in the chain: rows were cut off, or it is of another one")
        raise typer.Exit(EXIT_REFUSED)
    console.print(f"{report.rows} rows, chain intact, {len(kept)} anchors fit; head:")
    typer.echo(report.head.hex())


@app.command("anchor")
@told
def audit_anchor(
    file: Annotated[Path | None, typer.Option(help="Add it to this file as well, best on another machine.")] = None,
) -> None:
    """Print the chain's length and head as one line, to be kept where the database's owner cannot write."""
    with database() as engine, read_session(engine) as session:
        report = verify_chain(session)
    _refuse_broken(report)
    anchor = Anchor(SystemClock().now(), report.rows, report.head)
    if file is not None:
        add_anchor(file, anchor)
    typer.echo(anchor.line())


def _refuse_broken(report: ChainReport) -> None:
    if report.broken_at is not None:
        refuse(f"row {report.broken_at} does not fit: {report.reason}")
        raise typer.Exit(EXIT_REFUSED)


def _hash_option(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise typer.BadParameter("expected 64 hexadecimal characters, as audit verify prints them") from error
