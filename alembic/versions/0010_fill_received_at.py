"""Fill audit_events.received_at of older rows with their event_timestamp, what the client said, and index it.

It may take hours, and holds no lock that a write waits for longer than a moment. Each step is a transaction of
its own: killed and started again, it goes on where it was. While it runs a month may grow to twice its size.
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy import Connection

from datastorage.platform.db.rendered import driver_of

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
loses = ()

PAGES = 500

MONTHS = """
SELECT inhrelid::regclass FROM pg_inherits
WHERE inhparent = 'audit_events'::regclass AND pg_relation_size(inhrelid) > 0
ORDER BY inhrelid::regclass::text
"""

# A row moves to a new page when it is updated; those at the end are done when the pages of before are.
FILL = """
BEGIN;
SELECT set_config('datastorage.purge_guard', pg_current_xact_id()::text, true);
UPDATE {month} SET received_at = event_timestamp
WHERE ctid >= '({first},0)' AND ctid < '({end},0)' AND received_at IS NULL;
COMMIT
"""

# The same in one statement, for SQL that is written to a file.
FILL_ALL = f"""
DO $$
DECLARE
    month regclass;
    first bigint;
BEGIN
    FOR month IN {MONTHS}
    LOOP
        FOR first IN SELECT generate_series(0, pg_relation_size(month) / current_setting('block_size')::bigint, {PAGES})
        LOOP
            PERFORM set_config('datastorage.purge_guard', pg_current_xact_id()::text, true);
            EXECUTE format(
                'UPDATE %s SET received_at = event_timestamp WHERE ctid >= %L AND ctid < %L AND received_at IS NULL',
                month, format('(%s,0)', first), format('(%s,0)', first + {PAGES}));
            COMMIT;
        END LOOP;
    END LOOP;
END
$$
"""

INDEX = "USING brin (received_at) WITH (pages_per_range = 32, autosummarize = on)"

# None of them in a transaction. An index that was killed while it was made is there and not valid.
STEPS = (
    "VACUUM (ANALYZE) {month}",
    "ALTER TABLE {month} VALIDATE CONSTRAINT ck_audit_events_received_at",
    "DROP INDEX CONCURRENTLY IF EXISTS {month}_received_at_idx",
    f"CREATE INDEX CONCURRENTLY {{month}}_received_at_idx ON {{month}} {INDEX}",
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        if context.is_offline_mode():
            op.execute(FILL_ALL)
        else:
            prepare_months(op.get_bind())
    for statement in context.config.attributes["limits"]:
        op.execute(statement)
    op.execute("ALTER TABLE audit_events VALIDATE CONSTRAINT ck_audit_events_received_at")
    # Proved by the CHECK: no row is read.
    op.alter_column("audit_events", "received_at", nullable=False)
    op.execute("ALTER TABLE audit_events DROP CONSTRAINT ck_audit_events_received_at")
    # Takes over the indexes that months have; those without one are empty.
    op.execute(f"CREATE INDEX idx_audit_events_received_at ON audit_events {INDEX}")


def prepare_months(connection: Connection) -> None:
    driver = driver_of(connection)
    driver.execute("SET statement_timeout = 0")  # to vacuum a large month takes as long as it takes
    pages = f"SELECT month::text, pg_relation_size(month) / current_setting('block_size')::bigint FROM ({MONTHS}) m(month)"
    for month, size_pages in driver.execute(pages).fetchall():
        for first in range(0, size_pages, PAGES):
            driver.execute(FILL.format(month=month, first=first, end=first + PAGES), prepare=False)
        for step in STEPS:
            driver.execute(step.format(month=month))


def downgrade() -> None:
    op.drop_index("idx_audit_events_received_at", "audit_events")
    op.alter_column("audit_events", "received_at", nullable=True)
    op.execute(
        "ALTER TABLE audit_events ADD CONSTRAINT ck_audit_events_received_at"
        " CHECK (received_at IS NOT NULL) NOT VALID"
    )
