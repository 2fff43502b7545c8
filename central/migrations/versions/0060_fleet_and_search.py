"""When each terminal's last tap was, and indexes by which words find what is registered."""

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0050"
branch_labels = None
depends_on = None

APART = "-_./()·,&@<>+~"
"""As in `registry.words`: what parts words there parts them here."""
PLAIN = f"'{APART}', '{' ' * len(APART)}'"
FOUND_BY = {
    "registry_organization": "name",
    "registry_project": "code || ' ' || name",
    "registry_site": "code || ' ' || name",
    "registry_terminal": "code || ' ' || name",
    "registry_worker": "name",
}


def upgrade() -> None:
    op.add_column("attendance_terminal_status", sa.Column("last_tap_at", sa.DateTime(timezone=True), nullable=True))
    for table, text in FOUND_BY.items():
        words = f"to_tsvector('simple'::regconfig, translate({text}, {PLAIN}))"
        op.execute(f"CREATE INDEX ix_{table}_words ON {table} USING gin ({words})")


def downgrade() -> None:
    for table in FOUND_BY:
        op.execute(f"DROP INDEX ix_{table}_words")
    op.drop_column("attendance_terminal_status", "last_tap_at")
