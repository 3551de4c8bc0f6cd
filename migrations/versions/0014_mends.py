"""A job that mends rows of another is told from one that labels the same upload again: both came from a job."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE job ADD COLUMN mends_job_id uuid CONSTRAINT fk__job__mends_job_id__job REFERENCES job (id)")
    op.execute("CREATE INDEX ix__job_mends_job_id ON job (mends_job_id) WHERE mends_job_id IS NOT NULL")
    # Those that were made before said it in the other column, which their rows tell.
    op.execute("""
    UPDATE job SET mends_job_id = parent_job_id, parent_job_id = NULL
    WHERE id IN (SELECT child_job_id FROM mended_row) AND parent_job_id IS NOT NULL
    """)


def downgrade() -> None:
    op.execute("UPDATE job SET parent_job_id = mends_job_id WHERE mends_job_id IS NOT NULL")
    op.execute("ALTER TABLE job DROP COLUMN mends_job_id")
