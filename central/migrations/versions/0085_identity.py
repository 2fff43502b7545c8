"""What nobody may finish any more ends: apps offered without an end, and invitations made in a role that was lent."""

import sqlalchemy as sa
from alembic import op

revision = "0085"
down_revision = "0084"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM identity_totp WHERE confirmed_at IS NULL")  # an offer is a ticket now
    op.alter_column("identity_totp", "confirmed_at", existing_type=sa.DateTime(timezone=True), nullable=False)
    op.execute(
        "UPDATE identity_ticket SET used_at = now()"
        " WHERE kind = 'invitation' AND used_at IS NULL AND made_by LIKE 'user:%/delegation:%'"
    )


def downgrade() -> None:
    op.alter_column("identity_totp", "confirmed_at", existing_type=sa.DateTime(timezone=True), nullable=True)
