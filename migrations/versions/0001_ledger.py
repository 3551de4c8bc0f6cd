"""The ledger: accounts, uploads, jobs, chunks, results, with roles and row-level security from the start."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Roles belong to the cluster, not to the database: another database may have made them already, or be making them now.
ROLES = """
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['emobatch_web', 'emobatch_worker'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
        -- Since Postgres 16 whoever makes a role may grant it, but may not take it without granting it to itself.
        IF NOT pg_has_role(current_user, name, 'SET') THEN
            EXECUTE format('GRANT %I TO %I', name, current_user);
        END IF;
    END LOOP;
END $$
"""

TABLES = """
CREATE TABLE account (
    id uuid CONSTRAINT pk__account PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_key (
    id uuid CONSTRAINT pk__api_key PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid NOT NULL CONSTRAINT fk__api_key__account_id__account REFERENCES account (id),
    name text NOT NULL,
    secret_hmac bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX ix__api_key_account_id ON api_key (account_id);

CREATE TABLE model (
    sha256 text CONSTRAINT pk__model PRIMARY KEY,
    version text NOT NULL,
    manifest jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE upload (
    id uuid CONSTRAINT pk__upload PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid NOT NULL CONSTRAINT fk__upload__account_id__account REFERENCES account (id),
    state text NOT NULL DEFAULT 'receiving'
        CONSTRAINT ck__upload__state CHECK (state IN ('receiving', 'stored', 'deleting')),
    key text NOT NULL,
    canonical_key text,
    filename text NOT NULL,
    bytes bigint,
    sha256 text,
    detected jsonb,
    overrides jsonb NOT NULL DEFAULT '{}',
    lease_token bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix__upload_account_id ON upload (account_id);
CREATE INDEX ix__upload_unsettled ON upload (lease_until) WHERE state <> 'stored';

CREATE TABLE job (
    id uuid CONSTRAINT pk__job PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid NOT NULL CONSTRAINT fk__job__account_id__account REFERENCES account (id),
    upload_id uuid CONSTRAINT fk__job__upload_id__upload REFERENCES upload (id),
    filename text NOT NULL,
    parent_job_id uuid CONSTRAINT fk__job__parent_job_id__job REFERENCES job (id),
    state text NOT NULL DEFAULT 'queued' CONSTRAINT ck__job__state CHECK (state IN (
        'queued', 'ingesting', 'running', 'completed', 'completed_with_errors', 'failed', 'cancelled', 'expired')),
    text_column jsonb NOT NULL,
    model_version text NOT NULL,
    model_sha256 text NOT NULL CONSTRAINT fk__job__model_sha256__model REFERENCES model (sha256),
    options jsonb NOT NULL DEFAULT '{}',
    error jsonb,
    warnings jsonb NOT NULL DEFAULT '[]',
    rows_total integer NOT NULL DEFAULT 0,
    rows_ok integer NOT NULL DEFAULT 0,
    rows_skipped integer NOT NULL DEFAULT 0,
    rows_failed integer NOT NULL DEFAULT 0,
    rows_identical integer NOT NULL DEFAULT 0,
    blank_lines integer NOT NULL DEFAULT 0,
    chunks_total integer NOT NULL DEFAULT 0,
    chunks_done integer NOT NULL DEFAULT 0,
    crashes integer NOT NULL DEFAULT 0,
    label_counts jsonb NOT NULL DEFAULT '{}',
    ingest_state text NOT NULL DEFAULT 'cutting'
        CONSTRAINT ck__job__ingest_state CHECK (ingest_state IN ('converting', 'cutting', 'done')),
    ingest_offset bigint NOT NULL DEFAULT 0,
    ingest_row integer NOT NULL DEFAULT 1,
    ingest_line integer NOT NULL DEFAULT 1,
    ingest_attempt integer NOT NULL DEFAULT 0,
    ingest_token bigint NOT NULL DEFAULT 0,
    ingest_lease_until timestamptz,
    ingest_worker_id text,
    ingest_not_before timestamptz NOT NULL DEFAULT now(),
    ingest_claimed_at timestamptz,
    claimed_at timestamptz,
    rate real NOT NULL DEFAULT 0,
    rate_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    expires_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX ix__job_upload_id ON job (upload_id);
CREATE INDEX ix__job_listing ON job (account_id, created_at, id);
CREATE INDEX ix__job_active ON job (created_at) WHERE state IN ('queued', 'ingesting', 'running');

CREATE TABLE chunk (
    job_id uuid NOT NULL CONSTRAINT fk__chunk__job_id__job REFERENCES job (id) ON DELETE CASCADE,
    chunk_no integer NOT NULL,
    account_id uuid NOT NULL CONSTRAINT fk__chunk__account_id__account REFERENCES account (id),
    first_row integer NOT NULL,
    first_line integer NOT NULL,
    n_rows integer NOT NULL,
    byte_start bigint NOT NULL,
    byte_end bigint NOT NULL,
    crc bigint NOT NULL,
    state text NOT NULL DEFAULT 'ready' CONSTRAINT ck__chunk__state CHECK (state IN ('ready', 'leased', 'done')),
    attempt integer NOT NULL DEFAULT 0,
    crashes integer NOT NULL DEFAULT 0,
    isolated_row integer,
    lease_token bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    not_before timestamptz NOT NULL DEFAULT now(),
    worker_id text,
    CONSTRAINT pk__chunk PRIMARY KEY (job_id, chunk_no)
);
CREATE INDEX ix__chunk_ready ON chunk (job_id, chunk_no) WHERE state = 'ready';
CREATE INDEX ix__chunk_leased ON chunk (lease_until) WHERE state = 'leased';

CREATE TABLE result_chunk (
    job_id uuid NOT NULL CONSTRAINT fk__result_chunk__job_id__job REFERENCES job (id) ON DELETE CASCADE,
    chunk_no integer NOT NULL,
    account_id uuid NOT NULL CONSTRAINT fk__result_chunk__account_id__account REFERENCES account (id),
    first_row integer NOT NULL,
    n_rows integer NOT NULL,
    logits bytea NOT NULL,
    top_label smallint[] NOT NULL,
    top_score real[] NOT NULL,
    status smallint[] NOT NULL,
    flags smallint[] NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    label_counts jsonb NOT NULL,
    model_sha256 text NOT NULL,
    lease_token bigint NOT NULL,
    CONSTRAINT pk__result_chunk PRIMARY KEY (job_id, chunk_no)
);
-- Logits do not compress: trying costs time on every insert and every read.
ALTER TABLE result_chunk ALTER COLUMN logits SET STORAGE EXTERNAL;

CREATE TABLE row_poison (
    job_id uuid NOT NULL CONSTRAINT fk__row_poison__job_id__job REFERENCES job (id) ON DELETE CASCADE,
    row_no integer NOT NULL,
    account_id uuid NOT NULL CONSTRAINT fk__row_poison__account_id__account REFERENCES account (id),
    code text NOT NULL,
    crashes integer NOT NULL,
    CONSTRAINT pk__row_poison PRIMARY KEY (job_id, row_no)
);

CREATE TABLE worker (
    id text CONSTRAINT pk__worker PRIMARY KEY,
    models text[] NOT NULL,
    slots integer NOT NULL,
    heartbeat timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE idempotency (
    account_id uuid NOT NULL CONSTRAINT fk__idempotency__account_id__account REFERENCES account (id),
    key text NOT NULL,
    fingerprint text,
    state text NOT NULL CONSTRAINT ck__idempotency__state CHECK (state IN ('in_progress', 'done')),
    lease_until timestamptz NOT NULL,
    job_id uuid,
    response jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk__idempotency PRIMARY KEY (account_id, key)
);

INSERT INTO account (id, name) VALUES ('00000000-0000-0000-0000-000000000001', 'default');
"""

# One SQL row for every input row, in the default taxonomy, for people with a SQL prompt. `security_invoker` keeps the
# policies of whoever asks.
VIEW = """
CREATE VIEW result_row WITH (security_invoker = true) AS
SELECT r.job_id, r.account_id, r.first_row + u.i::integer - 1 AS row_no,
    (ARRAY['ok', 'empty', 'failed'])[u.status + 1] AS row_status, u.flags,
    m.manifest -> 'taxonomies' -> (m.manifest ->> 'default_taxonomy') -> 'labels' ->> u.top_label AS emotion,
    u.top_score AS emotion_score, r.detail -> (u.i - 1)::text AS detail
FROM result_chunk r
JOIN model m ON m.sha256 = r.model_sha256
CROSS JOIN LATERAL unnest(r.status, r.flags, r.top_label, r.top_score)
    WITH ORDINALITY AS u (status, flags, top_label, top_score, i);
"""

BY_ACCOUNT = ["upload", "job", "chunk", "result_chunk", "row_poison", "idempotency"]
TABLE_NAMES = ["account", "api_key", "model", *BY_ACCOUNT, "worker"]

# What web must know across accounts, and no more: how much stands before a job, and whom a key belongs to.
FUNCTIONS = """
CREATE FUNCTION jobs_before(asked uuid) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public AS $$
    SELECT count(*) FROM public.job other, public.job mine
    WHERE mine.id = asked AND other.state IN ('queued', 'ingesting', 'running')
        AND (other.created_at, other.id) < (mine.created_at, mine.id)
$$;

CREATE FUNCTION find_api_key(asked uuid)
RETURNS TABLE (account_id uuid, secret_hmac bytea, expires_at timestamptz, revoked_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT k.account_id, k.secret_hmac, k.expires_at, k.revoked_at FROM public.api_key k WHERE k.id = asked
$$;

REVOKE ALL ON FUNCTION jobs_before(uuid), find_api_key(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jobs_before(uuid), find_api_key(uuid) TO emobatch_web;
"""

MINE = "account_id = nullif(current_setting('emobatch.account_id', true), '')::uuid"


def upgrade() -> None:
    op.execute(ROLES)
    op.execute(TABLES)
    op.execute(VIEW)
    op.execute(FUNCTIONS)

    op.execute("GRANT USAGE ON SCHEMA public TO emobatch_web, emobatch_worker")
    for table in TABLE_NAMES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        # The owner migrates data; where the owner is no superuser, forced policies would hide it.
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO emobatch_worker")
        op.execute(f"CREATE POLICY worker ON {table} TO emobatch_worker USING (true) WITH CHECK (true)")
    for table in BY_ACCOUNT:
        op.execute(f"CREATE POLICY web ON {table} TO emobatch_web USING ({MINE}) WITH CHECK ({MINE})")
    op.execute(f"CREATE POLICY web ON account TO emobatch_web USING ({MINE.replace('account_id', 'id', 1)})")
    op.execute("CREATE POLICY web ON model TO emobatch_web USING (true) WITH CHECK (true)")
    op.execute("CREATE POLICY web ON worker FOR SELECT TO emobatch_web USING (true)")

    op.execute("GRANT SELECT, INSERT, UPDATE ON upload, job, idempotency TO emobatch_web")
    op.execute("GRANT DELETE ON idempotency TO emobatch_web")
    op.execute("GRANT SELECT, INSERT ON model TO emobatch_web")
    op.execute("GRANT SELECT ON account, chunk, result_chunk, row_poison, worker TO emobatch_web")
    op.execute("GRANT SELECT ON result_row TO emobatch_web, emobatch_worker")


def downgrade() -> None:
    # The roles stay: they belong to the cluster, and other databases may use them.
    op.execute("DROP VIEW result_row")
    op.execute("DROP FUNCTION jobs_before(uuid)")
    op.execute("DROP FUNCTION find_api_key(uuid)")
    for table in reversed(
        ["account", "api_key", "model", "upload", "job", "chunk", "result_chunk", *BY_ACCOUNT[-2:], "worker"]
    ):
        op.execute(f"DROP TABLE {table}")
