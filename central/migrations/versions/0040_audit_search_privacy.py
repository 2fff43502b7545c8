"""audit: search by who, what, whose and when; privacy: rules of retention and what was erased"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0040"
down_revision = "0070"
branch_labels = None
depends_on = None

# The workers whom an act names: as its subject, as one of its facts, or in the list of those whom a look showed.
WORKERS = r"""
CREATE FUNCTION ccs_audit_workers(subject text, detail jsonb) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce((
  SELECT array_agg(DISTINCT found.id) FROM (
    SELECT substring(subject FROM '^worker:([0-9]{1,18})')::bigint AS id
    UNION ALL
    SELECT (fact.value #>> '{}')::bigint
    FROM (VALUES (detail -> 'worker_id'), (detail -> 'into')) AS fact (value)
    WHERE jsonb_typeof(fact.value) = 'number'
    UNION ALL
    SELECT (one.value #>> '{}')::bigint
    FROM jsonb_array_elements(CASE WHEN jsonb_typeof(detail -> 'workers') = 'array'
                                   THEN detail -> 'workers' ELSE '[]'::jsonb END) AS one (value)
    WHERE jsonb_typeof(one.value) = 'number'
  ) found WHERE found.id IS NOT NULL), '{}'::bigint[]);
"""
LISTS = (("at",), ("actor", "at"), ("tag", "at"), ("subject", "at"))


def upgrade() -> None:
    op.execute(WORKERS)
    for columns in LISTS:
        op.create_index(f"ix_audit_event_{'_'.join(columns)}_id", "audit_event", [*columns, "id"], unique=False)
    op.execute("CREATE INDEX ix_audit_event_workers ON audit_event USING gin (ccs_audit_workers(subject, detail))")
    op.create_table(
        "privacy_retention_rule",
        sa.Column("code", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("keep_months", sa.Integer(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.Column("set_by", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_privacy_retention_rule")),
    )
    op.create_table(
        "privacy_erasure",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("worker_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_by", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["worker_id"], ["registry_worker.id"], name=op.f("fk_privacy_erasure_worker_id_registry_worker")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_privacy_erasure")),
    )
    op.create_index(op.f("ix_privacy_erasure_worker_id"), "privacy_erasure", ["worker_id"], unique=False)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON privacy_erasure"
        " FOR EACH STATEMENT EXECUTE FUNCTION ccs_append_only()"
    )


def downgrade() -> None:
    op.drop_table("privacy_erasure")
    op.drop_table("privacy_retention_rule")
    op.execute("DROP INDEX ix_audit_event_workers")
    for columns in LISTS:
        op.drop_index(f"ix_audit_event_{'_'.join(columns)}_id", table_name="audit_event")
    op.execute("DROP FUNCTION ccs_audit_workers")
