-- What only a superuser can do for the tables of datastorage. Migration 0008 runs this; where migrations run as
-- another role, run it once by hand, in the database of the service:
--
--     psql --set ON_ERROR_STOP=1 --file alembic/superuser.sql "$SUPERUSER_URL"
--
-- It may run again. Two things come of it: every change of a definition is recorded where the owner of the tables
-- cannot change the record, and nobody but superusers may create large objects, which no quota and no retention
-- would ever see.
DO $superuser$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE NOTICE 'not a superuser: changes of definitions are not recorded, see docs/deployment.md';
        RETURN;
    END IF;

    REVOKE EXECUTE ON FUNCTION
        pg_catalog.lo_creat(integer), pg_catalog.lo_create(oid), pg_catalog.lo_from_bytea(oid, bytea)
        FROM PUBLIC;

    CREATE SCHEMA IF NOT EXISTS datastorage_record;
    CREATE TABLE IF NOT EXISTS datastorage_record.schema_changes (
        changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        changed_by text NOT NULL DEFAULT session_user,
        command text NOT NULL,
        object text,
        statement text
    );
    REVOKE ALL ON SCHEMA datastorage_record FROM PUBLIC;

    -- It runs for every role, so it takes the rights of its owner and trusts no search_path. The schema keeps it
    -- from the owner of the tables, who could otherwise replace it and so run anything as a superuser.
    CREATE OR REPLACE FUNCTION datastorage_record.record_schema_change() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $function$
    BEGIN
        IF TG_EVENT = 'sql_drop' THEN
            INSERT INTO datastorage_record.schema_changes (command, object, statement)
            SELECT TG_TAG, object_identity, left(current_query(), 1000)
            FROM pg_event_trigger_dropped_objects() WHERE original AND NOT is_temporary;
        ELSE
            INSERT INTO datastorage_record.schema_changes (command, object, statement)
            SELECT command_tag, object_identity, left(current_query(), 1000)
            FROM pg_event_trigger_ddl_commands() WHERE schema_name IS DISTINCT FROM 'pg_temp';
        END IF;
    END
    $function$;

    DROP EVENT TRIGGER IF EXISTS datastorage_schema_change;
    DROP EVENT TRIGGER IF EXISTS datastorage_schema_drop;
    CREATE EVENT TRIGGER datastorage_schema_change ON ddl_command_end
        EXECUTE FUNCTION datastorage_record.record_schema_change();
    CREATE EVENT TRIGGER datastorage_schema_drop ON sql_drop
        EXECUTE FUNCTION datastorage_record.record_schema_change();
END
$superuser$;
