"""retention"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('attendance_retention_rule',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('keep_months', sa.Integer(), nullable=True),
    sa.Column('set_by', sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
    sa.Column('set_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_attendance_retention_rule'))
    )
    op.create_table('attendance_forgotten',
    sa.Column('journal', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('first_seq', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('last_seq', sa.BigInteger(), nullable=False),
    sa.Column('last_hash', sa.LargeBinary(), nullable=False),
    sa.Column('month', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('journal', 'first_seq', name=op.f('pk_attendance_forgotten'))
    )
    op.create_table('attendance_carried',
    sa.Column('site_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('person', sqlmodel.sql.sqltypes.AutoString(length=60), nullable=False),
    sa.Column('through_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('known_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.PrimaryKeyConstraint('site_id', 'person', name=op.f('pk_attendance_carried'))
    )


def downgrade() -> None:
    op.drop_table('attendance_carried')
    op.drop_table('attendance_forgotten')
    op.drop_table('attendance_retention_rule')
