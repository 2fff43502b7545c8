"""Words that find what is registered: the beginnings of words in names and codes, by one index a table.

The index and the question are made of one expression, so that the one always serves the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Index, func, text

from central.registry.models import Organization, Project, Site, Terminal, Worker

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlmodel import SQLModel

APART = "-_./()·,&@<>+~"
"""What parts words here and would not for PostgreSQL's parser: it reads signs, host names and paths into them."""
WORDS_MAX = 8
"""More words of a question than this are left out."""
_GAPS = str.maketrans(dict.fromkeys(APART + "'\":;!?*|\\#%[]{}=\0", " "))
_FROM = text(f"'{APART}'")
_TO = text(f"'{' ' * len(APART)}'")
_SIMPLE = text("'simple'::regconfig")
FOUND_BY: dict[type[SQLModel], tuple[str, ...]] = {
    Organization: ("name",),
    Project: ("code", "name"),
    Site: ("code", "name"),
    Terminal: ("code", "name"),
    Worker: ("name",),
}
"""Columns whose words find a row."""


def _vector(model: type[SQLModel]) -> ColumnElement[Any]:
    table: Table = model.__table__  # type: ignore[attr-defined]  # SQLModel types its tables no further
    said: Any = table.c[FOUND_BY[model][0]]
    for name in FOUND_BY[model][1:]:
        said = said.op("||")(text("' '")).op("||")(table.c[name])
    return func.to_tsvector(_SIMPLE, func.translate(said, _FROM, _TO))


INDEXES = tuple(Index(f"ix_{model.__tablename__}_words", _vector(model), postgresql_using="gin") for model in FOUND_BY)


def words_in(question: str) -> list[str]:
    """Part a question into its words, in small letters."""
    return question.translate(_GAPS).lower().split()[:WORDS_MAX]


def found_by(model: type[SQLModel], words: list[str]) -> ColumnElement[bool]:
    """Say that each of the words begins a word of the row's name or code."""
    query = " & ".join(f"'{word}':*" for word in words)
    return _vector(model).op("@@", is_comparison=True)(func.to_tsquery(_SIMPLE, query))
