"""Failed rows that were fixed and sent back: which rows a child job mends, and where their cells lie."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# At most one child is mending a row, and at most one has mended it: hence `merged` in the key.
# The child's id is no foreign key: what it mended outlives it. Its file is kept for as long as rows are read from it.
TABLE = """
CREATE TABLE mended_row (
    job_id uuid NOT NULL CONSTRAINT fk__mended_row__job_id__job REFERENCES job (id) ON DELETE CASCADE,
    row_no integer NOT NULL,
    merged boolean NOT NULL,
    account_id uuid NOT NULL CONSTRAINT fk__mended_row__account_id__account REFERENCES account (id),
    child_job_id uuid NOT NULL,
    child_row integer NOT NULL,
    upload_id uuid NOT NULL CONSTRAINT fk__mended_row__upload_id__upload REFERENCES upload (id),
    byte_start bigint NOT NULL,
    byte_end bigint NOT NULL,
    own_columns integer NOT NULL,
    CONSTRAINT pk__mended_row PRIMARY KEY (job_id, row_no, merged)
);
CREATE INDEX ix__mended_row_upload_id ON mended_row (upload_id);
CREATE INDEX ix__job_parent_job_id ON job (parent_job_id) WHERE parent_job_id IS NOT NULL;
ALTER TABLE job ADD COLUMN revision integer NOT NULL DEFAULT 0;
"""

MINE = "account_id = nullif(current_setting('emobatch.account_id', true), '')::uuid"


def upgrade() -> None:
    op.execute(TABLE)
    op.execute("ALTER TABLE mended_row ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE mended_row FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner ON mended_row TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute("CREATE POLICY worker ON mended_row TO emobatch_worker USING (true) WITH CHECK (true)")
    op.execute(f"CREATE POLICY web ON mended_row TO emobatch_web USING ({MINE}) WITH CHECK ({MINE})")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON mended_row TO emobatch_worker")
    op.execute("GRANT SELECT, INSERT, DELETE ON mended_row TO emobatch_web")


def downgrade() -> None:
    op.execute("DROP TABLE mended_row")
    op.execute("DROP INDEX ix__job_parent_job_id")
    op.execute("ALTER TABLE job DROP COLUMN revision")
