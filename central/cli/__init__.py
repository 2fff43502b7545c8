"""`ccs-central`: operator commands, and the processes of a central installation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

_MODULES = {
    "migrate": "processes",
    "web": "processes",
    "worker": "processes",
    "scheduler": "processes",
    "all": "processes",
    "import": "rolls",
    "import-undo": "rolls",
    "token": "tokens",
    "user": "users",
    "audit": "audits",
    "keys": "keys",
    "receipts": "receipts",
    "retention": "retentions",
}


class _Commands(Mapping[str, Any]):
    """Each read when it is asked for: the tables and pages that most stand on are slow to load.

    A worker needs none of them: it starts in a third of the time.
    """

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a command of Typer's own, private, kind
        whole = typer.Typer()
        whole.add_typer(import_module(f"central.cli.{_MODULES[name]}").app)
        return get_group(whole).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


class _Group(TyperGroup):
    def __init__(self, **attrs: Any) -> None:  # noqa: ANN401 - as above
        super().__init__(**attrs)
        self.commands = _Commands()  # type: ignore[assignment]  # nobody adds to it


app = typer.Typer(cls=_Group, no_args_is_help=True, pretty_exceptions_show_locals=False)


@app.callback()
def operate() -> None:
    """Operate the central part: processes, accounts, tokens, imports, checks."""
