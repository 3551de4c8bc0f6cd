"""Taxonomies that users make: the model's labels under their own names."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Versions are never changed, so that a file read with one can be made again; deleting hides them.
TABLE = """
CREATE TABLE taxonomy (
    account_id uuid NOT NULL CONSTRAINT fk__taxonomy__account_id__account REFERENCES account (id),
    name text NOT NULL,
    version integer NOT NULL,
    groups jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CONSTRAINT pk__taxonomy PRIMARY KEY (account_id, name, version)
);
"""

MINE = "account_id = nullif(current_setting('emobatch.account_id', true), '')::uuid"


def upgrade() -> None:
    op.execute(TABLE)
    op.execute("ALTER TABLE taxonomy ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE taxonomy FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner ON taxonomy TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute("CREATE POLICY worker ON taxonomy TO emobatch_worker USING (true) WITH CHECK (true)")
    op.execute(f"CREATE POLICY web ON taxonomy TO emobatch_web USING ({MINE}) WITH CHECK ({MINE})")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON taxonomy TO emobatch_worker")
    op.execute("GRANT SELECT, INSERT, UPDATE ON taxonomy TO emobatch_web")


def downgrade() -> None:
    op.execute("DROP TABLE taxonomy")
