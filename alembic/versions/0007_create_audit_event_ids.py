"""Create audit_event_ids: an id that came from outside names one event, whatever its date."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
loses = ("audit_event_ids",)

FILLED_DAYS = range(-1, 9)
"""Days back from today, the newest first: clients may send events of a week, and clocks differ."""

# Freezing keeps pace with millions of rows, and a removal of some does not scan the index once per batch.
STORAGE = """
ALTER TABLE audit_event_ids SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 1000000
);
"""

CHANGE_TRIGGERS = """
CREATE FUNCTION prevent_audit_event_id_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_event_ids never changes'
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END
$$;

CREATE TRIGGER trg_audit_event_ids_no_update BEFORE UPDATE ON audit_event_ids
FOR EACH ROW EXECUTE FUNCTION prevent_audit_event_id_change();

CREATE TRIGGER trg_audit_event_ids_no_truncate BEFORE TRUNCATE ON audit_event_ids
FOR EACH STATEMENT EXECUTE FUNCTION prevent_audit_event_id_change();
"""

GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'datastorage_app') THEN
        REVOKE ALL ON audit_event_ids FROM datastorage_app;
        GRANT SELECT, INSERT ON audit_event_ids TO datastorage_app;
    END IF;
END
$$;
"""

# Ids of version 4 that begin with a time from 2025 on to tomorrow are the service's own: they get no row. The
# latest date of an id that is stored under several counts, as it does when events are read. Each day is a
# statement, so that the limit of one statement's time is that of one day. It reads only what was committed
# before, holds no lock that a write would wait for, and may be run again (docs/operations.md).
FILL = """
INSERT INTO audit_event_ids (event_id, event_date)
SELECT event_id, event_date FROM audit_events
WHERE event_date = (now() AT TIME ZONE 'UTC')::date - ({days})
  AND NOT (
      event_id >= '01941f29-7c00-0000-0000-000000000000'
      AND event_id < rpad(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + 86400000), 12, '0'), 32, '0')::uuid
      AND substr(event_id::text, 15, 1) = '4'
  )
ORDER BY event_id
ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    op.create_table(
        "audit_event_ids",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("event_date", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_audit_event_ids"),
    )
    op.execute(STORAGE)
    op.execute(CHANGE_TRIGGERS)
    op.execute(GRANTS)
    for days in FILLED_DAYS:
        op.execute(FILL.format(days=days))


def downgrade() -> None:
    op.drop_table("audit_event_ids")
    op.execute("DROP FUNCTION prevent_audit_event_id_change()")
