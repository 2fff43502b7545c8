"""Every merged entry names the one that is kept, over however many merges; whom a letter went to is not kept."""

from alembic import op

revision = "0086"
down_revision = "0085"
branch_labels = None
depends_on = None

PATHS = """
WITH RECURSIVE path (start, at) AS (
  SELECT id, merged_into_id FROM registry_worker WHERE merged_into_id IS NOT NULL
  UNION
  SELECT path.start, w.merged_into_id FROM path JOIN registry_worker w ON w.id = path.at
  WHERE w.merged_into_id IS NOT NULL
)
"""
"""Whom each entry was merged into, one after the other; UNION comes to an end in a ring as well."""
# Two merges at once could make each the other's: who holds the employments is kept.
RINGS = f"""
{PATHS}
UPDATE registry_worker w SET merged_into_id = NULL FROM (
  SELECT DISTINCT ON (ring.name) ring.id FROM (
    SELECT a.start AS id, min(b.start) AS name FROM path a JOIN path b ON b.start = a.at AND b.at = a.start
    GROUP BY a.start
  ) ring
  ORDER BY ring.name, (SELECT count(*) FROM registry_employment e WHERE e.worker_id = ring.id) DESC, ring.id
) kept WHERE w.id = kept.id
"""
CHAINS = f"""
{PATHS}
UPDATE registry_worker w SET merged_into_id = path.at
FROM path JOIN registry_worker kept ON kept.id = path.at AND kept.merged_into_id IS NULL
WHERE path.start = w.id AND w.merged_into_id <> path.at
"""


def upgrade() -> None:
    op.execute(RINGS)
    op.execute(CHAINS)
    op.execute("UPDATE kit_outgoing SET recipient = '' WHERE sent_at IS NOT NULL OR failed_at IS NOT NULL")


def downgrade() -> None:
    """Leave it: what the chains were stands in the audit trail."""
