"""Samples of rows that a person labels, and what people say of rows."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE review (
    job_id uuid NOT NULL CONSTRAINT fk__review__job_id__job REFERENCES job (id) ON DELETE CASCADE,
    taxonomy text NOT NULL,
    account_id uuid NOT NULL CONSTRAINT fk__review__account_id__account REFERENCES account (id),
    definition jsonb NOT NULL,
    seed bigint NOT NULL,
    size integer NOT NULL,
    strata jsonb NOT NULL,
    crossed jsonb NOT NULL,
    rows_labelled integer NOT NULL,
    drawn_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk__review PRIMARY KEY (job_id, taxonomy)
);

CREATE TABLE review_row (
    job_id uuid NOT NULL,
    taxonomy text NOT NULL,
    row_no integer NOT NULL,
    account_id uuid NOT NULL CONSTRAINT fk__review_row__account_id__account REFERENCES account (id),
    place integer NOT NULL,
    stratum smallint NOT NULL,
    logits bytea NOT NULL,
    verdict text CONSTRAINT ck__review_row__verdict CHECK (verdict IN ('labelled', 'unsure', 'skipped')),
    answered_at timestamptz,
    CONSTRAINT pk__review_row PRIMARY KEY (job_id, taxonomy, row_no),
    CONSTRAINT fk__review_row__job_id__review FOREIGN KEY (job_id, taxonomy)
        REFERENCES review (job_id, taxonomy) ON DELETE CASCADE
);

CREATE TABLE correction (
    job_id uuid NOT NULL CONSTRAINT fk__correction__job_id__job REFERENCES job (id) ON DELETE CASCADE,
    taxonomy text NOT NULL,
    row_no integer NOT NULL,
    account_id uuid NOT NULL CONSTRAINT fk__correction__account_id__account REFERENCES account (id),
    labels text[] NOT NULL,
    given_in text NOT NULL CONSTRAINT ck__correction__given_in CHECK (given_in IN ('review', 'rows')),
    given_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk__correction PRIMARY KEY (job_id, taxonomy, row_no)
);
"""

NAMES = ("review", "review_row", "correction")
MINE = "account_id = nullif(current_setting('emobatch.account_id', true), '')::uuid"


def upgrade() -> None:
    op.execute(TABLES)
    for table in NAMES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY worker ON {table} TO emobatch_worker USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY web ON {table} TO emobatch_web USING ({MINE}) WITH CHECK ({MINE})")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO emobatch_web, emobatch_worker")


def downgrade() -> None:
    for table in reversed(NAMES):
        op.execute(f"DROP TABLE {table}")
