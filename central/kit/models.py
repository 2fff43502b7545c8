"""Column building blocks shared by every slice's tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Identity, MetaData, String, func
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
).naming_convention


def id_column() -> Any:  # noqa: ANN401 - SQLModel's Field is typed Any
    """A bigint identity primary key."""
    return Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))


def reference(target: str, *, nullable: bool = False, index: bool = False) -> Any:  # noqa: ANN401 - as above
    """A bigint foreign key, by table name, so that models need no import of another slice."""
    column: Column[int] = Column(BigInteger, ForeignKey(target), nullable=nullable, index=index)
    return Field(default=None, sa_column=column) if nullable else Field(sa_column=column)


def instant(*, nullable: bool = False, server_now: bool = False) -> Any:  # noqa: ANN401 - as above
    """A timestamptz column."""
    column: Column[datetime] = Column(
        DateTime(timezone=True), nullable=nullable, server_default=func.now() if server_now else None
    )
    return Field(default=None, sa_column=column) if nullable or server_now else Field(sa_column=column)


def listed_text(chars_max: int, *, unique: bool = False, nullable: bool = False) -> Any:  # noqa: ANN401 - as above
    """A text that lists are ordered and searched by: in the order of code points, so that one index serves both."""
    column: Column[str] = Column(String(chars_max, collation="C"), nullable=nullable, unique=unique)
    return Field(default=None, sa_column=column) if nullable else Field(sa_column=column)
