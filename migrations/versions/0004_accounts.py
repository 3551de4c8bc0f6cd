"""People and their sessions, what an API key may do, what an account may use and has used.

`find_api_key` stays for the release before this one, which may run beside it; this one asks `find_key`.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE app_user (
    id uuid CONSTRAINT pk__app_user PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid NOT NULL CONSTRAINT fk__app_user__account_id__account REFERENCES account (id),
    email text NOT NULL,
    role text NOT NULL DEFAULT 'member' CONSTRAINT ck__app_user__role CHECK (role IN ('member', 'admin')),
    password_hash text NOT NULL,
    password_set_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    signed_in_at timestamptz,
    disabled_at timestamptz
);
CREATE UNIQUE INDEX ix__app_user_email ON app_user (email);
CREATE INDEX ix__app_user_account_id ON app_user (account_id);

ALTER TABLE api_key
    ADD COLUMN scope text NOT NULL DEFAULT 'write'
        CONSTRAINT ck__api_key__scope CHECK (scope IN ('read', 'write', 'admin')),
    ADD COLUMN user_id uuid CONSTRAINT fk__api_key__user_id__app_user REFERENCES app_user (id),
    ADD COLUMN last_used_at timestamptz;
CREATE INDEX ix__api_key_user_id ON api_key (user_id);

CREATE TABLE session (
    id uuid CONSTRAINT pk__session PRIMARY KEY,
    account_id uuid NOT NULL CONSTRAINT fk__session__account_id__account REFERENCES account (id),
    user_id uuid CONSTRAINT fk__session__user_id__app_user REFERENCES app_user (id) ON DELETE CASCADE,
    key_id uuid CONSTRAINT fk__session__key_id__api_key REFERENCES api_key (id) ON DELETE CASCADE,
    token_mark text,
    browser text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT ck__session__origin CHECK (num_nonnulls(user_id, key_id, token_mark) = 1)
);
CREATE INDEX ix__session_account_id ON session (account_id);
CREATE INDEX ix__session_user_id ON session (user_id);
CREATE INDEX ix__session_key_id ON session (key_id);
CREATE INDEX ix__session_expires_at ON session (expires_at);

CREATE TABLE quota (
    account_id uuid CONSTRAINT pk__quota PRIMARY KEY CONSTRAINT fk__quota__account_id__account REFERENCES account (id),
    active_jobs integer,
    uploads integer,
    stored_bytes bigint,
    rows_a_day bigint,
    requests_a_minute integer
);

CREATE TABLE usage (
    account_id uuid NOT NULL CONSTRAINT fk__usage__account_id__account REFERENCES account (id),
    day date NOT NULL,
    rows bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk__usage PRIMARY KEY (account_id, day)
);
"""

# Whom a key, an e-mail address or a session belongs to must be known before there is an account to speak for.
FUNCTIONS = """
CREATE FUNCTION find_key(asked uuid)
RETURNS TABLE (account_id uuid, user_id uuid, secret_hmac bytea, scope text, last_used_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT k.account_id, k.user_id, k.secret_hmac,
        -- A key may no more than whoever made it may today.
        CASE WHEN k.scope = 'admin' AND u.role = 'member' THEN 'write' ELSE k.scope END, k.last_used_at
    FROM public.api_key k LEFT JOIN public.app_user u ON u.id = k.user_id
    WHERE k.id = asked AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
        AND u.disabled_at IS NULL
$$;

CREATE FUNCTION find_user(asked text)
RETURNS TABLE (id uuid, account_id uuid, role text, password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT u.id, u.account_id, u.role, u.password_hash FROM public.app_user u
    WHERE u.email = asked AND u.disabled_at IS NULL
$$;

CREATE FUNCTION has_users() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT EXISTS (SELECT FROM public.app_user)
$$;

CREATE FUNCTION find_session(asked uuid, idle_s double precision)
RETURNS TABLE (
    account_id uuid, user_id uuid, key_id uuid, token_mark text, role text, scope text, rested_s double precision
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT s.account_id, s.user_id, s.key_id, s.token_mark, u.role, k.scope,
        extract(epoch FROM now() - s.seen_at)::double precision
    FROM public.session s
    LEFT JOIN public.app_user u ON u.id = s.user_id
    LEFT JOIN LATERAL public.find_key(s.key_id) k ON true
    WHERE s.id = asked AND s.expires_at > now() AND s.seen_at > now() - make_interval(secs => idle_s)
        AND u.disabled_at IS NULL AND (s.key_id IS NULL OR k.account_id IS NOT NULL)
$$;

REVOKE ALL ON FUNCTION find_key(uuid), find_user(text), has_users(), find_session(uuid, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_key(uuid), find_user(text), has_users(), find_session(uuid, double precision)
    TO emobatch_web;
"""

# Column by column: neither the HMAC of a key nor the hash of a password can be read back by web.
GRANTS = """
GRANT SELECT (id, account_id, user_id, name, scope, created_at, expires_at, revoked_at, last_used_at),
    INSERT (id, account_id, user_id, name, secret_hmac, scope, expires_at),
    UPDATE (revoked_at, last_used_at) ON api_key TO emobatch_web;
GRANT SELECT (id, account_id, email, role, password_set_at, created_at, signed_in_at, disabled_at),
    INSERT (id, account_id, email, role, password_hash),
    UPDATE (role, password_hash, password_set_at, signed_in_at, disabled_at) ON app_user TO emobatch_web;
GRANT SELECT, INSERT, DELETE, UPDATE (seen_at) ON session TO emobatch_web;
GRANT SELECT ON quota TO emobatch_web;
GRANT SELECT, INSERT, UPDATE ON usage TO emobatch_web;
"""

MINE = "account_id = nullif(current_setting('emobatch.account_id', true), '')::uuid"
NEW_TABLES = ("app_user", "session", "quota", "usage")


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    for table in NEW_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY worker ON {table} TO emobatch_worker USING (true) WITH CHECK (true)")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO emobatch_worker")
    for table in (*NEW_TABLES, "api_key"):
        op.execute(f"CREATE POLICY web ON {table} TO emobatch_web USING ({MINE}) WITH CHECK ({MINE})")
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("REVOKE ALL ON api_key FROM emobatch_web")
    op.execute("DROP POLICY web ON api_key")
    op.execute("DROP FUNCTION find_session(uuid, double precision)")
    op.execute("DROP FUNCTION find_key(uuid)")
    op.execute("DROP FUNCTION find_user(text)")
    op.execute("DROP FUNCTION has_users()")
    op.execute("DROP TABLE session")
    op.execute("ALTER TABLE api_key DROP COLUMN scope, DROP COLUMN user_id, DROP COLUMN last_used_at")
    for table in ("app_user", "quota", "usage"):
        op.execute(f"DROP TABLE {table}")
