"""End the invitations that were made in a role that was lent: no role is given by one any more."""

from alembic import op

revision = "0085"
down_revision = "0082"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "UPDATE identity_ticket SET used_at = now()"
        " WHERE kind = 'invitation' AND used_at IS NULL AND made_by LIKE 'user:%/delegation:%'"
    )


def downgrade() -> None:
    """What was ended stays so."""
