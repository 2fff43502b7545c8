"""Tables of imports: each file that was given, how far it came, and what each of its rows made."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from central.kit.models import id_column, instant, reference


class Import(SQLModel, table=True):
    """One file: a site's roll or a project's contracts."""

    __tablename__ = "registry_import"
    id: int | None = id_column()
    kind: str = Field(max_length=10)
    """roll | contracts: a form of `columns`."""
    site_id: int | None = reference("registry_site.id", nullable=True, index=True)
    project_id: int | None = reference("registry_project.id", nullable=True, index=True)
    organization_id: int | None = reference("registry_organization.id", nullable=True)
    """Who gave it may write this organization's rows only; null: everybody's in the place."""
    file: str = Field(max_length=200)
    digest: str = Field(max_length=64)
    """SHA-256 of the content, in hex."""
    content: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    """Kept until it is taken or thrown away."""
    state: str = Field(max_length=20)
    """A state of `import_states.IMPORT`."""
    rows_total: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    rows_done: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    run_until: datetime | None = instant(nullable=True)
    """While something runs: it is given up for lost when it has not been heard of until then."""
    found: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=text("'{}'::jsonb"))
    )
    """What the last run found: counts by kind, `faults` and `notices` as [row, packed sentence]."""
    uploaded_at: datetime = instant()
    uploaded_by: str = Field(max_length=120)
    taken_at: datetime | None = instant(nullable=True)
    taken_by: str = Field(default="", max_length=120, sa_column_kwargs={"server_default": ""})
    taken_in: int | None = Field(default=None, sa_column=Column(BigInteger))
    """The transaction that took it: a row of its making that another one wrote since is somebody's later fact."""
    undone_at: datetime | None = instant(nullable=True)
    undone_by: str = Field(default="", max_length=120, sa_column_kwargs={"server_default": ""})


class ImportRow(SQLModel, table=True):
    """What one row of a taken file made: `{"worker": 12, "employment": 31, "papers": [7, 8]}`."""

    __tablename__ = "registry_import_row"
    id: int | None = id_column()
    import_id: int = reference("registry_import.id")
    number: int
    """As the spreadsheet numbers it."""
    made: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    undone_at: datetime | None = instant(nullable=True)
    kept_because: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    """Why undoing left it, as a packed sentence."""
    __table_args__ = (Index("uq_registry_import_row_import_id_number", "import_id", "number", unique=True),)
