"""`ccs-central`: operator commands, and the processes of a central installation."""

from __future__ import annotations

import typer

import central.models  # noqa: F401 - every table is known before the first one is written
from central.cli import processes, rolls
from central.cli.audits import audits
from central.cli.keys import keys
from central.cli.receipts import receipts
from central.cli.retentions import retentions
from central.cli.tokens import tokens
from central.cli.users import users

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Operate the central part: processes, accounts, tokens, imports, checks.",
)
for commands in (processes.app, rolls.app):
    app.add_typer(commands)
_GROUPS = {
    "token": tokens,
    "user": users,
    "audit": audits,
    "keys": keys,
    "receipts": receipts,
    "retention": retentions,
}
for name, group in _GROUPS.items():
    app.add_typer(group, name=name)
