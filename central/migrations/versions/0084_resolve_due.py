"""Cards of which it changed whose they were, until their taps were resolved again; repair takes no terminal out."""

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
# A terminal under repair counts again as one whose silence matters: it was in service, and not removed since.
UNDER_REPAIR = """
UPDATE registry_terminal t SET in_service = true
WHERE t.state IN ('installed', 'tested') AND NOT t.in_service AND EXISTS (
  SELECT 1 FROM registry_terminal_event e WHERE e.terminal_id = t.id AND 'in_service' IN (e.from_state, e.to_state)
    AND NOT EXISTS (SELECT 1 FROM registry_terminal_event r
                    WHERE r.terminal_id = t.id AND r.to_state = 'removed' AND r.id >= e.id))
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
    op.execute(UNDER_REPAIR)


def downgrade() -> None:
    op.execute("UPDATE registry_terminal SET in_service = false WHERE state IN ('installed', 'tested')")
    op.drop_table("registry_changed_card")
