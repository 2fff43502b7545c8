"""Views of lists that people saved, and whom of the day's visitors nobody saw leave."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0081"
down_revision = "0080"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identity_saved_view",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("path", sqlmodel.sql.sqltypes.AutoString(length=60), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=60), nullable=False),
        sa.Column("query", sqlmodel.sql.sqltypes.AutoString(length=1000), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_user.id"], name=op.f("fk_identity_saved_view_user_id_identity_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_saved_view")),
    )
    op.create_index(
        "uq_identity_saved_view_user_id_path_name", "identity_saved_view", ["user_id", "path", "name"], unique=True
    )
    op.create_index(
        "ix_registry_day_pass_open",
        "registry_day_pass",
        ["site_id"],
        postgresql_where=sa.text("left_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_registry_day_pass_open", table_name="registry_day_pass")
    op.drop_index("uq_identity_saved_view_user_id_path_name", table_name="identity_saved_view")
    op.drop_table("identity_saved_view")
