"""imports: each file given, how far it came, what each of its rows made"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0050"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "registry_import",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(length=10), nullable=False),
        sa.Column("site_id", sa.BigInteger(), nullable=True),
        sa.Column("project_id", sa.BigInteger(), nullable=True),
        sa.Column("organization_id", sa.BigInteger(), nullable=True),
        sa.Column("file", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("rows_total", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rows_done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("run_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "found",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uploaded_by", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken_by", sqlmodel.sql.sqltypes.AutoString(length=120), server_default="", nullable=False),
        sa.Column("taken_in", sa.BigInteger(), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sqlmodel.sql.sqltypes.AutoString(length=120), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["registry_site.id"], name=op.f("fk_registry_import_site_id_registry_site")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["registry_project.id"], name=op.f("fk_registry_import_project_id_registry_project")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["registry_organization.id"],
            name=op.f("fk_registry_import_organization_id_registry_organization"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_import")),
    )
    op.create_index(op.f("ix_registry_import_site_id"), "registry_import", ["site_id"], unique=False)
    op.create_index(op.f("ix_registry_import_project_id"), "registry_import", ["project_id"], unique=False)
    op.create_table(
        "registry_import_row",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("made", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("kept_because", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(
            ["import_id"], ["registry_import.id"], name=op.f("fk_registry_import_row_import_id_registry_import")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_import_row")),
    )
    op.create_index(
        "uq_registry_import_row_import_id_number", "registry_import_row", ["import_id", "number"], unique=True
    )


def downgrade() -> None:
    op.drop_index("uq_registry_import_row_import_id_number", table_name="registry_import_row")
    op.drop_table("registry_import_row")
    op.drop_index(op.f("ix_registry_import_project_id"), table_name="registry_import")
    op.drop_index(op.f("ix_registry_import_site_id"), table_name="registry_import")
    op.drop_table("registry_import")
