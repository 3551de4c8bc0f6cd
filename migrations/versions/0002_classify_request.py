"""The synchronous lane: texts that somebody waits for."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Unlogged: nothing here is a promise. A text never reaches the write-ahead log, and so no replica and no backup; a
# commit waits for no disk; after a crash of Postgres the table is empty, and whoever waited is told to ask again.
TABLE = """
CREATE UNLOGGED TABLE classify_request (
    id uuid CONSTRAINT pk__classify_request PRIMARY KEY,
    account_id uuid NOT NULL CONSTRAINT fk__classify_request__account_id__account REFERENCES account (id),
    model_sha256 text NOT NULL,
    texts bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    worker_id text,
    logits bytea,
    status smallint[],
    flags smallint[],
    detail jsonb,
    scored_s real
);
CREATE INDEX ix__classify_request_unanswered ON classify_request (created_at) WHERE texts IS NOT NULL;
"""

MINE = "account_id = nullif(current_setting('emobatch.account_id', true), '')::uuid"


def upgrade() -> None:
    op.execute(TABLE)
    op.execute("ALTER TABLE classify_request ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE classify_request FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner ON classify_request TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute("CREATE POLICY worker ON classify_request TO emobatch_worker USING (true) WITH CHECK (true)")
    op.execute(f"CREATE POLICY web ON classify_request TO emobatch_web USING ({MINE}) WITH CHECK ({MINE})")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON classify_request TO emobatch_worker")
    op.execute("GRANT SELECT, INSERT, DELETE ON classify_request TO emobatch_web")


def downgrade() -> None:
    op.execute("DROP TABLE classify_request")
