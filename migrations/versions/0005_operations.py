"""For those who run it: a worker may be told to take no more work, and a job keeps the trace of its upload."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Both are read by the new release only: the old one beside it neither needs nor fills them.
    op.execute("ALTER TABLE worker ADD COLUMN draining boolean NOT NULL DEFAULT false")
    op.execute("ALTER TABLE job ADD COLUMN traceparent text")


def downgrade() -> None:
    op.execute("ALTER TABLE job DROP COLUMN traceparent")
    op.execute("ALTER TABLE worker DROP COLUMN draining")
