"""Files that arrive by pieces: how far each is, and who may write to it now."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE transfer (
    id uuid CONSTRAINT pk__transfer PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid NOT NULL CONSTRAINT fk__transfer__account_id__account REFERENCES account (id),
    length bigint NOT NULL,
    received bigint NOT NULL DEFAULT 0 CONSTRAINT ck__transfer__received CHECK (received BETWEEN 0 AND length),
    options jsonb NOT NULL,
    resume_key text,
    idempotency_key text,
    lease_token bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    job_id uuid,
    response jsonb
);
CREATE UNIQUE INDEX ix__transfer_resume_key ON transfer (account_id, resume_key) WHERE resume_key IS NOT NULL;
CREATE INDEX ix__transfer_expires_at ON transfer (expires_at);
CREATE INDEX ix__transfer_job_id ON transfer (job_id) WHERE job_id IS NOT NULL;

CREATE TABLE piece (
    transfer_id uuid NOT NULL CONSTRAINT fk__piece__transfer_id__transfer REFERENCES transfer (id) ON DELETE CASCADE,
    start bigint NOT NULL,
    account_id uuid NOT NULL CONSTRAINT fk__piece__account_id__account REFERENCES account (id),
    bytes bigint NOT NULL,
    key text NOT NULL,
    CONSTRAINT pk__piece PRIMARY KEY (transfer_id, start)
);
"""

MINE = "account_id = nullif(current_setting('emobatch.account_id', true), '')::uuid"


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("transfer", "piece"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY worker ON {table} TO emobatch_worker USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY web ON {table} TO emobatch_web USING ({MINE}) WITH CHECK ({MINE})")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO emobatch_worker")
    op.execute("GRANT SELECT, INSERT, UPDATE ON transfer TO emobatch_web")
    op.execute("GRANT SELECT, INSERT ON piece TO emobatch_web")


def downgrade() -> None:
    op.execute("DROP TABLE piece")
    op.execute("DROP TABLE transfer")
