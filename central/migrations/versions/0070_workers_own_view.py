"""the worker's own view: sessions of workers, receipt keys, objections"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0070"
down_revision = "0010"
branch_labels = None
depends_on = None

# What was objected to and answered is evidence (EVD-01): only how far an objection has come may change.
EVIDENCE = """
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OF worker_id, site_id, employer_id, on_day, words, first_in, last_out,
  language, opened_at, opened_by ON myself_objection FOR EACH STATEMENT EXECUTE FUNCTION ccs_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON myself_objection_event
  FOR EACH STATEMENT EXECUTE FUNCTION ccs_append_only();
"""


def upgrade() -> None:
    op.create_table(
        "myself_receipt_key",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("private_key", sa.LargeBinary(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_myself_receipt_key")),
        sa.UniqueConstraint("public_key", name=op.f("uq_myself_receipt_key_public_key")),
    )
    op.create_index(
        "uq_myself_receipt_key_signs",
        "myself_receipt_key",
        [sa.text("(retired_at IS NULL)")],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL"),
    )
    op.create_table(
        "myself_objection",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("worker_id", sa.BigInteger(), nullable=False),
        sa.Column("site_id", sa.BigInteger(), nullable=False),
        sa.Column("employer_id", sa.BigInteger(), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("words", sqlmodel.sql.sqltypes.AutoString(length=1000), nullable=False),
        sa.Column("first_in", sqlmodel.sql.sqltypes.AutoString(length=5), nullable=False),
        sa.Column("last_out", sqlmodel.sql.sqltypes.AutoString(length=5), nullable=False),
        sa.Column("language", sqlmodel.sql.sqltypes.AutoString(length=8), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_by", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["worker_id"], ["registry_worker.id"], name=op.f("fk_myself_objection_worker_id_registry_worker")),
        sa.ForeignKeyConstraint(["site_id"], ["registry_site.id"], name=op.f("fk_myself_objection_site_id_registry_site")),
        sa.ForeignKeyConstraint(
            ["employer_id"], ["registry_organization.id"], name=op.f("fk_myself_objection_employer_id_registry_organization")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_myself_objection")),
    )
    for column in ("worker_id", "site_id", "employer_id"):
        op.create_index(op.f(f"ix_myself_objection_{column}"), "myself_objection", [column], unique=False)
    waiting = sa.text("state IN ('open', 'insisted')")
    op.create_index(
        "uq_myself_objection_open",
        "myself_objection",
        ["worker_id", "site_id", "on_day"],
        unique=True,
        postgresql_where=waiting,
    )
    op.create_index("ix_myself_objection_due", "myself_objection", ["due_at"], unique=False, postgresql_where=waiting)
    op.create_table(
        "myself_objection_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("objection_id", sa.BigInteger(), nullable=False),
        sa.Column("event", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("from_state", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("to_state", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.Column("words", sqlmodel.sql.sqltypes.AutoString(length=1000), nullable=False),
        sa.Column("agreed", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["objection_id"], ["myself_objection.id"], name=op.f("fk_myself_objection_event_objection_id_myself_objection")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_myself_objection_event")),
    )
    op.create_index(
        op.f("ix_myself_objection_event_objection_id"), "myself_objection_event", ["objection_id"], unique=False
    )
    op.add_column("identity_session", sa.Column("worker_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_identity_session_worker_id_registry_worker"), "identity_session", "registry_worker", ["worker_id"], ["id"]
    )
    op.create_index(op.f("ix_identity_session_worker_id"), "identity_session", ["worker_id"], unique=False)
    op.alter_column("identity_session", "user_id", existing_type=sa.BigInteger(), nullable=True)
    op.create_check_constraint(
        op.f("ck_identity_session_whose"), "identity_session", "num_nonnulls(user_id, worker_id) = 1"
    )
    op.execute(EVIDENCE)


def downgrade() -> None:
    op.execute("DELETE FROM identity_session WHERE worker_id IS NOT NULL")
    op.drop_constraint(op.f("ck_identity_session_whose"), "identity_session", type_="check")
    op.alter_column("identity_session", "user_id", existing_type=sa.BigInteger(), nullable=False)
    op.drop_index(op.f("ix_identity_session_worker_id"), table_name="identity_session")
    op.drop_constraint(
        op.f("fk_identity_session_worker_id_registry_worker"), "identity_session", type_="foreignkey"
    )
    op.drop_column("identity_session", "worker_id")
    op.drop_table("myself_objection_event")
    op.drop_table("myself_objection")
    op.drop_table("myself_receipt_key")
