"""Grant the service what its statements need, column by column, and refuse a wrong event_date.

The trigger of event_date promised to fill it, and could not: PostgreSQL chooses the partition before. What it
did was to correct a wrong day without a word. An INSERT that says another day than event_timestamp is refused now.
"""

from pathlib import Path

from alembic import context, op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
loses = ()

SUPERUSER = Path(__file__).parents[1] / "superuser.sql"

UPDATED_COLUMNS = {
    "resource_references": "resource_uid, api_version, last_seen, deleted_at",
    "action_histories": "total_actions, last_action_at",
    "resource_action_traces": (
        "execution_status, execution_start_time, execution_end_time, execution_duration_ms, execution_error,"
        " resource_state_after, kubernetes_operations, effectiveness_score, effectiveness_criteria,"
        " effectiveness_assessed_at, effectiveness_assessment_due, effectiveness_assessment_method,"
        " effectiveness_notes, follow_up_actions"
    ),
    "remediation_workflow_catalog": (
        "status, status_reason, disabled_at, disabled_by, disabled_reason, is_latest_version,"
        " deprecation_notice, total_executions, successful_executions, actual_success_rate, updated_by"
    ),
}

# A role has every right on what it owns. Where the service is the owner, or a superuser, there is nothing to
# narrow, and to take its rights away would break the checks of foreign keys, which run as the owner.
FOR_SERVICE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'datastorage_app') THEN
        RETURN;
    END IF;
    IF pg_has_role('datastorage_app', (SELECT relowner FROM pg_class WHERE oid = 'audit_events'::regclass), 'USAGE') THEN
        RAISE NOTICE 'datastorage_app owns the tables: only triggers protect them';
        RETURN;
    END IF;
    {statements}
END
$$;
"""

NARROW = "\n    ".join(
    [
        f"REVOKE UPDATE ON {table} FROM datastorage_app; GRANT UPDATE ({columns}) ON {table} TO datastorage_app;"
        for table, columns in UPDATED_COLUMNS.items()
    ]
    + ["REVOKE ALL ON incident_summary_view FROM datastorage_app;"]
)
WIDEN = f"""
    GRANT UPDATE ON {', '.join(UPDATED_COLUMNS)} TO datastorage_app;
    GRANT SELECT ON incident_summary_view TO datastorage_app;
"""

# PostgreSQL 15 took this right from PUBLIC, but only in new databases. Whose function makes the partitions keeps
# it, should it have come from PUBLIC.
NO_CREATE = """
DO $$
DECLARE
    our_schema constant text := current_schema();
    maker constant name := (
        SELECT pg_get_userbyid(proowner) FROM pg_proc
        WHERE oid = 'ensure_month_partition(text, date)'::regprocedure);
BEGIN
    IF pg_has_role((SELECT nspowner FROM pg_namespace WHERE nspname = our_schema), 'USAGE') THEN
        EXECUTE format('GRANT CREATE ON SCHEMA %I TO %I', our_schema, maker);
        EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', our_schema);
    ELSE
        RAISE NOTICE 'schema % belongs to another role, which may still let PUBLIC create in it', our_schema;
    END IF;
END
$$;
"""

DROP_OLD_DATE_TRIGGER = """
DROP TRIGGER trg_set_audit_event_date ON audit_events;
DROP FUNCTION set_audit_event_date();
"""

# As cheap as before: the function is called for a row that is wrong.
DATE_TRIGGER = """
CREATE FUNCTION refuse_wrong_audit_event_date() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'event_date % is not the day of event_timestamp % in UTC', NEW.event_date, NEW.event_timestamp
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END
$$;

CREATE TRIGGER trg_audit_events_event_date BEFORE INSERT ON audit_events FOR EACH ROW
WHEN (NEW.event_date IS DISTINCT FROM (NEW.event_timestamp AT TIME ZONE 'UTC')::date)
EXECUTE FUNCTION refuse_wrong_audit_event_date();
"""

DROP_DATE_TRIGGER = """
DROP TRIGGER trg_audit_events_event_date ON audit_events;
DROP FUNCTION refuse_wrong_audit_event_date();
"""

# The guard is a setting that anybody can know, so its use is written where the owner of the tables cannot change
# it: to the server's log, once per transaction, since a purge may take millions of rows.
PURGE_GUARD = """
CREATE OR REPLACE FUNCTION prevent_audit_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('datastorage.purge_guard', true) = pg_current_xact_id_if_assigned()::text THEN{record}
        RETURN CASE TG_OP WHEN 'UPDATE' THEN NEW ELSE OLD END;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_ARGV[0]
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END
$$;
"""
RECORD = """
        IF current_setting('datastorage.purge_recorded', true) IS DISTINCT FROM
           current_setting('datastorage.purge_guard') THEN
            PERFORM set_config('datastorage.purge_recorded', current_setting('datastorage.purge_guard'), true);
            RAISE LOG 'purge guard opened for % on % by %', TG_OP, TG_ARGV[0], session_user;
        END IF;"""


def upgrade() -> None:
    op.execute(FOR_SERVICE.format(statements=NARROW))
    op.execute(NO_CREATE)
    op.execute(DROP_OLD_DATE_TRIGGER)
    op.execute(DATE_TRIGGER)
    op.execute(PURGE_GUARD.format(record=RECORD))
    op.execute(SUPERUSER.read_text(encoding="utf-8"))


def downgrade() -> None:
    # What a superuser did stays: it protects every revision, and its records are nobody's to drop.
    op.execute(PURGE_GUARD.format(record=""))
    op.execute(DROP_DATE_TRIGGER)
    op.execute(context.script.get_revision("0001").module.DATE_TRIGGER)
    op.execute(FOR_SERVICE.format(statements=WIDEN))
