"""When somebody changed a worker's telephone, and when it was recorded whose a card is."""

import sqlalchemy as sa
from alembic import op

revision = "0087"
down_revision = "0086"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("registry_worker", sa.Column("phone_changed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "registry_card_assignment",
        sa.Column("given_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.execute("UPDATE registry_card_assignment SET given_at = from_at WHERE from_at < given_at")


def downgrade() -> None:
    op.drop_column("registry_card_assignment", "given_at")
    op.drop_column("registry_worker", "phone_changed_at")
