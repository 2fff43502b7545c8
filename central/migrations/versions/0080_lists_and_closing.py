"""Lists ordered and searched by one index, sites that close, and views of lists that people saved."""

import sqlalchemy as sa
from alembic import op

revision = "0080"
down_revision = "0060"
branch_labels = None
depends_on = None

ORDERED = (
    ("registry_card", "token", 32),
    ("registry_organization", "business_no", 10),
    ("registry_organization", "name", 200),
    ("registry_project", "code", 40),
    ("registry_project", "name", 200),
    ("registry_worker", "name", 100),
)
INDEXES = (
    ("ix_registry_organization_name_id", "registry_organization", ["name", "id"]),
    ("ix_registry_project_name_id", "registry_project", ["name", "id"]),
    ("ix_registry_project_begins_on_id", "registry_project", ["begins_on", "id"]),
)


def upgrade() -> None:
    for table, column, chars in ORDERED:
        op.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar({chars}) COLLATE "C"')
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    op.add_column("registry_site", sa.Column("closed_on", sa.Date(), nullable=True))


def downgrade() -> None:
    op.drop_column("registry_site", "closed_on")
    for name, table, _ in INDEXES:
        op.drop_index(name, table_name=table)
    for table, column, chars in ORDERED:
        op.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar({chars}) COLLATE "default"')
