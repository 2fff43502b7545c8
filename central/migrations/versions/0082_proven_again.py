"""When the person of a session last showed who they are."""

import sqlalchemy as sa
from alembic import op

revision = "0082"
down_revision = "0081"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "identity_session",
        sa.Column("proven_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.execute("UPDATE identity_session SET proven_at = greatest(created_at, factor_at)")


def downgrade() -> None:
    op.drop_column("identity_session", "proven_at")
