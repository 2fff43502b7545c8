"""identity: invitations, second factors, single sign-on, delegation; what leaves is queued"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kit_outgoing",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=36), nullable=False),
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("recipient", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("useless_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kit_outgoing")),
    )
    op.create_index(
        "ix_kit_outgoing_due",
        "kit_outgoing",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("sent_at IS NULL AND failed_at IS NULL"),
    )
    op.create_table(
        "identity_outside",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("provider", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_user.id"], name=op.f("fk_identity_outside_user_id_identity_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_outside")),
        sa.UniqueConstraint("provider", "subject", name=op.f("uq_identity_outside_provider_subject")),
    )
    op.create_index(op.f("ix_identity_outside_user_id"), "identity_outside", ["user_id"], unique=False)
    op.create_table(
        "identity_passkey",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_user.id"], name=op.f("fk_identity_passkey_user_id_identity_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_passkey")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_identity_passkey_credential_id")),
    )
    op.create_index(op.f("ix_identity_passkey_user_id"), "identity_passkey", ["user_id"], unique=False)
    op.create_table(
        "identity_spare_code",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_user.id"], name=op.f("fk_identity_spare_code_user_id_identity_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_spare_code")),
    )
    op.create_index(op.f("ix_identity_spare_code_user_id"), "identity_spare_code", ["user_id"], unique=False)
    op.create_table(
        "identity_ticket",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("made_by", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_user.id"], name=op.f("fk_identity_ticket_user_id_identity_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_ticket")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_identity_ticket_secret_hash")),
    )
    op.create_index("ix_identity_ticket_kind_expires_at", "identity_ticket", ["kind", "expires_at"], unique=False)
    op.create_index(op.f("ix_identity_ticket_user_id"), "identity_ticket", ["user_id"], unique=False)
    op.create_table(
        "identity_totp",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["identity_user.id"], name=op.f("fk_identity_totp_user_id_identity_user")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_identity_totp")),
    )
    op.create_table(
        "identity_delegation",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("membership_id", sa.BigInteger(), nullable=False),
        sa.Column("to_user_id", sa.BigInteger(), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["membership_id"],
            ["identity_membership.id"],
            name=op.f("fk_identity_delegation_membership_id_identity_membership"),
        ),
        sa.ForeignKeyConstraint(
            ["to_user_id"], ["identity_user.id"], name=op.f("fk_identity_delegation_to_user_id_identity_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_delegation")),
    )
    op.create_index(
        op.f("ix_identity_delegation_membership_id"), "identity_delegation", ["membership_id"], unique=False
    )
    op.create_index(op.f("ix_identity_delegation_to_user_id"), "identity_delegation", ["to_user_id"], unique=False)
    op.add_column("identity_api_token", sa.Column("owner_id", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_identity_api_token_owner_id"), "identity_api_token", ["owner_id"], unique=False)
    op.create_foreign_key(
        op.f("fk_identity_api_token_owner_id_identity_user"),
        "identity_api_token",
        "identity_user",
        ["owner_id"],
        ["id"],
    )
    op.add_column(
        "identity_membership",
        sa.Column("granted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.add_column("identity_membership", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("identity_session", sa.Column("factor_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "identity_session",
        sa.Column("method", sqlmodel.sql.sqltypes.AutoString(length=40), server_default="password", nullable=False),
    )
    op.add_column(
        "identity_session",
        sa.Column("address", sqlmodel.sql.sqltypes.AutoString(length=60), server_default="", nullable=False),
    )
    op.add_column(
        "identity_session",
        sa.Column("agent", sqlmodel.sql.sqltypes.AutoString(length=300), server_default="", nullable=False),
    )
    op.add_column("identity_session", sa.Column("membership_id", sa.BigInteger(), nullable=True))
    op.add_column("identity_session", sa.Column("delegation_id", sa.BigInteger(), nullable=True))
    op.add_column("identity_session", sa.Column("project_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_identity_session_delegation_id_identity_delegation"),
        "identity_session",
        "identity_delegation",
        ["delegation_id"],
        ["id"],
    )
    op.create_foreign_key(
        op.f("fk_identity_session_membership_id_identity_membership"),
        "identity_session",
        "identity_membership",
        ["membership_id"],
        ["id"],
    )
    op.create_foreign_key(
        op.f("fk_identity_session_project_id_registry_project"),
        "identity_session",
        "registry_project",
        ["project_id"],
        ["id"],
    )
    op.alter_column("identity_user", "password_hash", existing_type=sa.VARCHAR(length=300), nullable=True)


def downgrade() -> None:
    # The release before knows no second factor, no ended role and no owner of a token: nothing may become more than it was.
    op.execute("UPDATE identity_session SET ended_at = now() WHERE ended_at IS NULL")
    op.execute("UPDATE identity_api_token SET revoked_at = now() WHERE owner_id IS NOT NULL AND revoked_at IS NULL")
    # An account without a password cannot sign in with one: nothing hashes to this.
    op.execute("UPDATE identity_user SET password_hash = '!' WHERE password_hash IS NULL")
    op.alter_column("identity_user", "password_hash", existing_type=sa.VARCHAR(length=300), nullable=False)
    op.drop_constraint(op.f("fk_identity_session_project_id_registry_project"), "identity_session", type_="foreignkey")
    op.drop_constraint(
        op.f("fk_identity_session_membership_id_identity_membership"), "identity_session", type_="foreignkey"
    )
    op.drop_constraint(
        op.f("fk_identity_session_delegation_id_identity_delegation"), "identity_session", type_="foreignkey"
    )
    op.drop_column("identity_session", "project_id")
    op.drop_column("identity_session", "delegation_id")
    op.drop_column("identity_session", "membership_id")
    op.drop_column("identity_session", "agent")
    op.drop_column("identity_session", "address")
    op.drop_column("identity_session", "method")
    op.drop_column("identity_session", "factor_at")
    op.drop_constraint(op.f("fk_identity_api_token_owner_id_identity_user"), "identity_api_token", type_="foreignkey")
    op.drop_index(op.f("ix_identity_api_token_owner_id"), table_name="identity_api_token")
    op.drop_column("identity_api_token", "owner_id")
    op.drop_index(op.f("ix_identity_delegation_to_user_id"), table_name="identity_delegation")
    op.drop_index(op.f("ix_identity_delegation_membership_id"), table_name="identity_delegation")
    op.drop_table("identity_delegation")
    op.execute("DELETE FROM identity_membership WHERE ended_at IS NOT NULL")
    op.drop_column("identity_membership", "ended_at")
    op.drop_column("identity_membership", "granted_at")
    op.drop_table("identity_totp")
    op.drop_index(op.f("ix_identity_ticket_user_id"), table_name="identity_ticket")
    op.drop_index("ix_identity_ticket_kind_expires_at", table_name="identity_ticket")
    op.drop_table("identity_ticket")
    op.drop_index(op.f("ix_identity_spare_code_user_id"), table_name="identity_spare_code")
    op.drop_table("identity_spare_code")
    op.drop_index(op.f("ix_identity_passkey_user_id"), table_name="identity_passkey")
    op.drop_table("identity_passkey")
    op.drop_index(op.f("ix_identity_outside_user_id"), table_name="identity_outside")
    op.drop_table("identity_outside")
    op.drop_index(
        "ix_kit_outgoing_due",
        table_name="kit_outgoing",
        postgresql_where=sa.text("sent_at IS NULL AND failed_at IS NULL"),
    )
    op.drop_table("kit_outgoing")
