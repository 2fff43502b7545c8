"""people, contracts, places: what is on record, dated"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0002"
branch_labels = None
depends_on = None

HISTORIES = ("registry_contract_version", "registry_card_event", "registry_terminal_event")

# What is registered is somewhere in its life: a card that somebody holds was issued, a terminal out of service is gone.
PRESENT_STATES = """
UPDATE registry_card c SET state = 'issued'
WHERE EXISTS (SELECT FROM registry_card_assignment a
              WHERE a.card_id = c.id AND tstzrange(a.from_at, a.until_at) @> now());
UPDATE registry_terminal SET state = 'removed' WHERE NOT in_service;
"""


def upgrade() -> None:
    op.create_table(
        "registry_card_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("card_id", sa.BigInteger(), nullable=False),
        sa.Column("event", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("from_state", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("to_state", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.Column("note", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["card_id"], ["registry_card.id"], name=op.f("fk_registry_card_event_card_id_registry_card")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_card_event")),
    )
    op.create_index(op.f("ix_registry_card_event_card_id"), "registry_card_event", ["card_id"], unique=False)
    op.create_table(
        "registry_worker_paper",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("worker_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("value", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("trade", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=True),
        sa.Column("number", sqlmodel.sql.sqltypes.AutoString(length=60), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["worker_id"], ["registry_worker.id"], name=op.f("fk_registry_worker_paper_worker_id_registry_worker")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_worker_paper")),
    )
    op.create_index(op.f("ix_registry_worker_paper_worker_id"), "registry_worker_paper", ["worker_id"], unique=False)
    op.create_table(
        "registry_contract",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("contractor_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("work", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["contractor_id"],
            ["registry_organization.id"],
            name=op.f("fk_registry_contract_contractor_id_registry_organization"),
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["registry_contract.id"], name=op.f("fk_registry_contract_parent_id_registry_contract")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["registry_project.id"], name=op.f("fk_registry_contract_project_id_registry_project")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_contract")),
    )
    op.create_index(op.f("ix_registry_contract_contractor_id"), "registry_contract", ["contractor_id"], unique=False)
    op.create_index(op.f("ix_registry_contract_parent_id"), "registry_contract", ["parent_id"], unique=False)
    op.create_index(op.f("ix_registry_contract_project_id"), "registry_contract", ["project_id"], unique=False)
    op.create_table(
        "registry_contract_version",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("amount_won", sa.BigInteger(), nullable=False),
        sa.Column("begins_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("signed_on", sa.Date(), nullable=True),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.ForeignKeyConstraint(
            ["contract_id"],
            ["registry_contract.id"],
            name=op.f("fk_registry_contract_version_contract_id_registry_contract"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_contract_version")),
    )
    op.create_index(
        "ix_registry_contract_version_contract_id_effective_on",
        "registry_contract_version",
        ["contract_id", "effective_on"],
        unique=False,
    )
    op.create_table(
        "registry_day_pass",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("site_id", sa.BigInteger(), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(length=10), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
        sa.Column("company", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("phone", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=True),
        sa.Column("plate", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=True),
        sa.Column("host", sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_by", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id"], ["registry_site.id"], name=op.f("fk_registry_day_pass_site_id_registry_site")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_day_pass")),
    )
    op.create_index("ix_registry_day_pass_site_id_on_day", "registry_day_pass", ["site_id", "on_day"], unique=False)
    op.create_table(
        "registry_labour_contract",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("worker_id", sa.BigInteger(), nullable=False),
        sa.Column("site_id", sa.BigInteger(), nullable=False),
        sa.Column("employer_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(length=10), nullable=False),
        sa.Column("wage_won", sa.BigInteger(), nullable=False),
        sa.Column("wage_per", sqlmodel.sql.sqltypes.AutoString(length=10), nullable=False),
        sa.Column("minutes_a_day", sa.Integer(), nullable=False),
        sa.Column("signed_on", sa.Date(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("worker_id"), "="),
            (sa.column("site_id"), "="),
            (sa.column("employer_id"), "="),
            (sa.text("daterange(from_on, until_on)"), "&&"),
            using="gist",
            name="ex_registry_labour_contract_period",
        ),
        sa.ForeignKeyConstraint(
            ["employer_id"],
            ["registry_organization.id"],
            name=op.f("fk_registry_labour_contract_employer_id_registry_organization"),
        ),
        sa.ForeignKeyConstraint(
            ["site_id"], ["registry_site.id"], name=op.f("fk_registry_labour_contract_site_id_registry_site")
        ),
        sa.ForeignKeyConstraint(
            ["worker_id"], ["registry_worker.id"], name=op.f("fk_registry_labour_contract_worker_id_registry_worker")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_labour_contract")),
    )
    op.create_index(
        op.f("ix_registry_labour_contract_employer_id"), "registry_labour_contract", ["employer_id"], unique=False
    )
    op.create_index(op.f("ix_registry_labour_contract_site_id"), "registry_labour_contract", ["site_id"], unique=False)
    op.create_index(
        op.f("ix_registry_labour_contract_worker_id"), "registry_labour_contract", ["worker_id"], unique=False
    )
    op.create_table(
        "registry_zone",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("site_id", sa.BigInteger(), nullable=False),
        sa.Column("code", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(length=10), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["registry_site.id"], name=op.f("fk_registry_zone_site_id_registry_site")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_zone")),
    )
    op.create_index("uq_registry_zone_site_id_code", "registry_zone", ["site_id", "code"], unique=True)
    op.create_table(
        "registry_terminal_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("terminal_id", sa.BigInteger(), nullable=False),
        sa.Column("event", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("from_state", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("to_state", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.Column("note", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["terminal_id"],
            ["registry_terminal.id"],
            name=op.f("fk_registry_terminal_event_terminal_id_registry_terminal"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_terminal_event")),
    )
    op.create_index(
        op.f("ix_registry_terminal_event_terminal_id"), "registry_terminal_event", ["terminal_id"], unique=False
    )
    op.add_column(
        "registry_card",
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(length=20), server_default="stock", nullable=False),
    )
    op.add_column(
        "registry_project",
        sa.Column("purpose", sqlmodel.sql.sqltypes.AutoString(length=1000), server_default="", nullable=False),
    )
    op.add_column(
        "registry_project", sa.Column("classification", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=True)
    )
    op.add_column("registry_project", sa.Column("budget_won", sa.BigInteger(), nullable=True))
    op.add_column("registry_project", sa.Column("bid_notice_on", sa.Date(), nullable=True))
    op.add_column("registry_project", sa.Column("begins_on", sa.Date(), nullable=True))
    op.add_column("registry_project", sa.Column("ends_on", sa.Date(), nullable=True))
    op.add_column("registry_project", sa.Column("completed_on", sa.Date(), nullable=True))
    op.add_column(
        "registry_project",
        sa.Column("address", sqlmodel.sql.sqltypes.AutoString(length=300), server_default="", nullable=False),
    )
    op.add_column("registry_project", sa.Column("latitude", sa.Float(), nullable=True))
    op.add_column("registry_project", sa.Column("longitude", sa.Float(), nullable=True))
    op.add_column("registry_project", sa.Column("borough", sqlmodel.sql.sqltypes.AutoString(length=10), nullable=True))
    op.add_column(
        "registry_terminal",
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(length=20), server_default="in_service", nullable=False),
    )
    op.add_column("registry_worker", sa.Column("birth_on", sa.Date(), nullable=True))
    op.add_column(
        "registry_worker", sa.Column("nationality", sqlmodel.sql.sqltypes.AutoString(length=2), nullable=True)
    )
    op.add_column("registry_worker", sa.Column("identity_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("registry_worker", sa.Column("identity_mark", sa.LargeBinary(), nullable=True))
    op.add_column("registry_worker", sa.Column("merged_into_id", sa.BigInteger(), nullable=True))
    op.create_index("ix_registry_worker_birth_on_name", "registry_worker", ["birth_on", "name"], unique=False)
    op.create_index(op.f("ix_registry_worker_merged_into_id"), "registry_worker", ["merged_into_id"], unique=False)
    op.create_index("ix_registry_worker_name_id", "registry_worker", ["name", "id"], unique=False)
    op.create_unique_constraint(op.f("uq_registry_worker_identity_mark"), "registry_worker", ["identity_mark"])
    op.create_foreign_key(
        op.f("fk_registry_worker_merged_into_id_registry_worker"),
        "registry_worker",
        "registry_worker",
        ["merged_into_id"],
        ["id"],
    )
    for table in HISTORIES:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION ccs_append_only()"
        )
    op.execute(PRESENT_STATES)


def downgrade() -> None:
    op.drop_constraint(op.f("fk_registry_worker_merged_into_id_registry_worker"), "registry_worker", type_="foreignkey")
    op.drop_constraint(op.f("uq_registry_worker_identity_mark"), "registry_worker", type_="unique")
    op.drop_index("ix_registry_worker_name_id", table_name="registry_worker")
    op.drop_index(op.f("ix_registry_worker_merged_into_id"), table_name="registry_worker")
    op.drop_index("ix_registry_worker_birth_on_name", table_name="registry_worker")
    op.drop_column("registry_worker", "merged_into_id")
    op.drop_column("registry_worker", "identity_mark")
    op.drop_column("registry_worker", "identity_sealed")
    op.drop_column("registry_worker", "nationality")
    op.drop_column("registry_worker", "birth_on")
    op.drop_column("registry_terminal", "state")
    op.drop_column("registry_project", "borough")
    op.drop_column("registry_project", "longitude")
    op.drop_column("registry_project", "latitude")
    op.drop_column("registry_project", "address")
    op.drop_column("registry_project", "completed_on")
    op.drop_column("registry_project", "ends_on")
    op.drop_column("registry_project", "begins_on")
    op.drop_column("registry_project", "bid_notice_on")
    op.drop_column("registry_project", "budget_won")
    op.drop_column("registry_project", "classification")
    op.drop_column("registry_project", "purpose")
    op.drop_column("registry_card", "state")
    op.drop_index(op.f("ix_registry_terminal_event_terminal_id"), table_name="registry_terminal_event")
    op.drop_table("registry_terminal_event")
    op.drop_index("uq_registry_zone_site_id_code", table_name="registry_zone")
    op.drop_table("registry_zone")
    op.drop_index(op.f("ix_registry_labour_contract_worker_id"), table_name="registry_labour_contract")
    op.drop_index(op.f("ix_registry_labour_contract_site_id"), table_name="registry_labour_contract")
    op.drop_index(op.f("ix_registry_labour_contract_employer_id"), table_name="registry_labour_contract")
    op.drop_table("registry_labour_contract")
    op.drop_index("ix_registry_day_pass_site_id_on_day", table_name="registry_day_pass")
    op.drop_table("registry_day_pass")
    op.drop_index("ix_registry_contract_version_contract_id_effective_on", table_name="registry_contract_version")
    op.drop_table("registry_contract_version")
    op.drop_index(op.f("ix_registry_contract_project_id"), table_name="registry_contract")
    op.drop_index(op.f("ix_registry_contract_parent_id"), table_name="registry_contract")
    op.drop_index(op.f("ix_registry_contract_contractor_id"), table_name="registry_contract")
    op.drop_table("registry_contract")
    op.drop_index(op.f("ix_registry_worker_paper_worker_id"), table_name="registry_worker_paper")
    op.drop_table("registry_worker_paper")
    op.drop_index(op.f("ix_registry_card_event_card_id"), table_name="registry_card_event")
    op.drop_table("registry_card_event")
