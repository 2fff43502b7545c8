"""Cards of which it changed whose they were, until their taps were resolved again."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0084"
down_revision = "0082"
branch_labels = None
depends_on = None

# What a notice that nobody heard left behind: the cards of workers who took over another's, and cards that counted as
# nobody's. Each is looked at once more; where all is well nothing changes.
OVERDUE = """
INSERT INTO registry_changed_card (token, changed_at)
SELECT c.token, now() FROM registry_card c
WHERE EXISTS (SELECT 1 FROM registry_card_assignment a JOIN registry_worker w ON w.merged_into_id = a.worker_id
              WHERE a.card_id = c.id)
   OR EXISTS (SELECT 1 FROM attendance_presence p WHERE p.person = 'card:' || c.token)
"""


def upgrade() -> None:
    op.create_table(
        "registry_changed_card",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("token", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_changed_card")),
    )
    op.execute(OVERDUE)


def downgrade() -> None:
    op.drop_table("registry_changed_card")
