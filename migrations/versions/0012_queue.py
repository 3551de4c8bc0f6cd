"""What stands before a job, in numbers: jobs, those of the same account, rows to go. Nothing else of others is told."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# `jobs_before` stays: the release before this one asks it.
FUNCTION = """
CREATE FUNCTION queue_before(asked uuid) RETURNS TABLE (jobs bigint, own_jobs bigint, rows_left bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT count(*), count(*) FILTER (WHERE other.account_id = mine.account_id),
        coalesce(sum(other.rows_total - other.rows_ok - other.rows_skipped - other.rows_failed), 0)::bigint
    FROM public.job other, public.job mine
    WHERE mine.id = asked AND other.state IN ('queued', 'ingesting', 'running') AND other.deleted_at IS NULL
        AND (other.created_at, other.id) < (mine.created_at, mine.id)
        -- Only about a job of one's own.
        AND mine.account_id = nullif(current_setting('emobatch.account_id', true), '')::uuid
$$;
REVOKE ALL ON FUNCTION queue_before(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION queue_before(uuid) TO emobatch_web, emobatch_worker;
"""


def upgrade() -> None:
    op.execute(FUNCTION)


def downgrade() -> None:
    op.execute("DROP FUNCTION queue_before(uuid)")
