"""What has been counted of a job for its figures, so that it is counted once."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE figure (
    job_id uuid NOT NULL CONSTRAINT fk__figure__job_id__job REFERENCES job (id) ON DELETE CASCADE,
    key text NOT NULL,
    account_id uuid NOT NULL CONSTRAINT fk__figure__account_id__account REFERENCES account (id),
    next_chunk integer NOT NULL,
    rows_done integer NOT NULL,
    complete boolean NOT NULL,
    state bytea NOT NULL,
    used_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk__figure PRIMARY KEY (job_id, key)
);
-- It is compressed already.
ALTER TABLE figure ALTER COLUMN state SET STORAGE EXTERNAL;
"""

MINE = "account_id = nullif(current_setting('emobatch.account_id', true), '')::uuid"


def upgrade() -> None:
    op.execute(TABLE)
    op.execute("ALTER TABLE figure ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE figure FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner ON figure TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute("CREATE POLICY worker ON figure TO emobatch_worker USING (true) WITH CHECK (true)")
    op.execute(f"CREATE POLICY web ON figure TO emobatch_web USING ({MINE}) WITH CHECK ({MINE})")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON figure TO emobatch_worker")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON figure TO emobatch_web")


def downgrade() -> None:
    op.execute("DROP TABLE figure")
