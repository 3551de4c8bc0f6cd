"""What an account has had of late; and tables that are cleaned up soon after jobs are deleted.

Jobs that are over take the time of their claims with them, accounts stay. Postgres by default vacuums a table when a
fifth of it is dead: where a deleted job takes a hundred megabytes with it, that is late.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CHURNED = ("job", "chunk", "result_chunk")
OFTEN = ("autovacuum_vacuum_scale_factor = 0.02", "autovacuum_vacuum_threshold = 100")

# Workers vacuum what they have emptied; before Postgres 17 only the owner may, and autovacuum has to do.
MAY_VACUUM = """
DO $$ BEGIN
    IF current_setting('server_version_num')::integer >= 170000 THEN
        EXECUTE 'GRANT MAINTAIN ON chunk, result_chunk TO emobatch_worker';
    END IF;
END $$
"""


def upgrade() -> None:
    op.execute("""
    ALTER TABLE account
        ADD COLUMN served real NOT NULL DEFAULT 0,
        ADD COLUMN served_at timestamptz NOT NULL DEFAULT now(),
        ADD COLUMN cut_at timestamptz
    """)
    for table in CHURNED:
        op.execute(f"ALTER TABLE {table} SET ({', '.join([*OFTEN, *(f'toast.{name}' for name in OFTEN)])})")
    op.execute(MAY_VACUUM)


def downgrade() -> None:
    op.execute(MAY_VACUUM.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))
    names = [setting.split()[0] for setting in OFTEN]
    for table in CHURNED:
        op.execute(f"ALTER TABLE {table} RESET ({', '.join([*names, *(f'toast.{name}' for name in names)])})")
    op.execute("ALTER TABLE account DROP COLUMN served, DROP COLUMN served_at, DROP COLUMN cut_at")
