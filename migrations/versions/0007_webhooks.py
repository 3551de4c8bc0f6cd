"""Webhooks and the log of their messages."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE webhook (
    id uuid CONSTRAINT pk__webhook PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid NOT NULL CONSTRAINT fk__webhook__account_id__account REFERENCES account (id),
    url text NOT NULL,
    events text[] NOT NULL,
    generation integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz,
    disabled_because text
);
CREATE INDEX ix__webhook_account_id ON webhook (account_id);

CREATE TABLE delivery (
    id uuid CONSTRAINT pk__delivery PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid NOT NULL CONSTRAINT fk__delivery__account_id__account REFERENCES account (id),
    webhook_id uuid NOT NULL
        CONSTRAINT fk__delivery__webhook_id__webhook REFERENCES webhook (id) ON DELETE CASCADE,
    job_id uuid,
    event text NOT NULL CONSTRAINT ck__delivery__event
        CHECK (event IN ('job.completed', 'job.failed', 'job.cancelled', 'webhook.test')),
    payload jsonb NOT NULL,
    state text NOT NULL DEFAULT 'pending' CONSTRAINT ck__delivery__state
        CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts jsonb NOT NULL DEFAULT '[]'::jsonb,
    tries integer NOT NULL DEFAULT 0,
    not_before timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz
);
CREATE INDEX ix__delivery_account_id ON delivery (account_id);
CREATE INDEX ix__delivery_due ON delivery (webhook_id, not_before) WHERE state = 'pending';
CREATE INDEX ix__delivery_webhook_id ON delivery (webhook_id, created_at, id);
"""

MINE = "account_id = nullif(current_setting('emobatch.account_id', true), '')::uuid"


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("webhook", "delivery"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY worker ON {table} TO emobatch_worker USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY web ON {table} TO emobatch_web USING ({MINE}) WITH CHECK ({MINE})")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO emobatch_worker")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON webhook TO emobatch_web")
    op.execute("GRANT SELECT, INSERT, UPDATE (state, tries, not_before) ON delivery TO emobatch_web")


def downgrade() -> None:
    op.execute("DROP TABLE delivery")
    op.execute("DROP TABLE webhook")
