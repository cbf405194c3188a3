"""Create ensure_month_partition() and with it the first partitions of audit_events.

Everybody who needs a month goes through this function: the migrations, the service, the operator. It
belongs to the owner of the tables, so the service needs no right to create any. The caller chooses a
table from the list and a month, never a name. A table that joins the list replaces the function with
one that has another WHEN.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
loses = ()

# CREATE TABLE, then ATTACH, and not CREATE TABLE PARTITION OF: that would need an ACCESS EXCLUSIVE lock on
# the parent and so wait for every reader, a dump of hours included. This way only writers are waited for,
# and for less time than a write would wait for us.
FUNCTION = """
CREATE FUNCTION ensure_month_partition(parent_table text, month date) RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
DECLARE
    our_schema constant text := @schema@;
    first_day constant date := make_date(extract(year FROM month)::int, extract(month FROM month)::int, 1);
    next_month constant date := first_day + interval '1 month';
    partition text;
    lower_bound text;
    upper_bound text;
    no_truncate_trigger text;
    attached boolean;
BEGIN
    IF first_day IS NULL OR first_day < '2000-01-01' OR first_day >= '2200-01-01' THEN
        RAISE EXCEPTION 'not a month from 2000-01 to 2199-12: %', month USING ERRCODE = 'invalid_parameter_value';
    END IF;
    CASE parent_table
        WHEN 'audit_events' THEN
            partition := 'audit_events_' || to_char(first_day, 'YYYY_MM');
            lower_bound := to_char(first_day, 'YYYY-MM-DD');
            upper_bound := to_char(next_month, 'YYYY-MM-DD');
            no_truncate_trigger := 'trg_audit_events_no_truncate';
        ELSE
            RAISE EXCEPTION 'no table with monthly partitions: %', parent_table
                USING ERRCODE = 'invalid_parameter_value';
    END CASE;

    PERFORM pg_advisory_xact_lock(hashtextextended('datastorage.partitions', 0));

    SELECT i.inhrelid IS NOT NULL INTO attached
    FROM pg_class c
    LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND NOT i.inhdetachpending
        AND i.inhparent = to_regclass(format('%I.%I', our_schema, parent_table))
    WHERE c.relname = partition AND c.relnamespace = to_regnamespace(quote_ident(our_schema));
    IF FOUND THEN
        -- A detached month is somebody's decision; an empty second table would hide its rows.
        RETURN CASE WHEN attached THEN 'exists' ELSE 'detached' END;
    END IF;

    EXECUTE format(
        'CREATE TABLE %1$I.%2$I (LIKE %1$I.%3$I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED'
        ' INCLUDING STORAGE INCLUDING COMPRESSION)', our_schema, partition, parent_table);
    -- Row triggers, keys and indexes come with ATTACH; a TRUNCATE trigger does not.
    EXECUTE format(
        'CREATE TRIGGER %4$I BEFORE TRUNCATE ON %1$I.%2$I FOR EACH STATEMENT'
        ' EXECUTE FUNCTION %1$I.prevent_audit_event_change(%3$L)',
        our_schema, partition, parent_table, no_truncate_trigger);
    EXECUTE format(
        'ALTER TABLE %1$I.%3$I ATTACH PARTITION %1$I.%2$I FOR VALUES FROM (%4$L) TO (%5$L)',
        our_schema, partition, parent_table, lower_bound, upper_bound);
    RETURN 'created';
END
$$;
"""

# The function must find our tables whatever the caller's search_path says, and must not trust a schema
# where others may create. So it searches the catalogue only, and our schema is written into it here, by the
# server: SQL that is written to a file does not know it yet.
CREATE_FUNCTION = f"""
DO $migration$
BEGIN
    EXECUTE replace($function${FUNCTION}$function$, '@schema@', quote_literal(current_schema()));
END
$migration$;
"""

GRANTS = """
REVOKE ALL ON FUNCTION ensure_month_partition(text, date) FROM PUBLIC;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'datastorage_app') THEN
        GRANT EXECUTE ON FUNCTION ensure_month_partition(text, date) TO datastorage_app;
    END IF;
END
$$;
"""

# Computed by the server, so that SQL written to a file today is right whenever it runs.
FIRST_PARTITIONS = """
DO $$
DECLARE
    this_month constant timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    month date;
BEGIN
    FOR month IN
        SELECT generate_series(timestamp '2025-11-01', timestamp '2026-02-01', '1 month')
        UNION
        SELECT generate_series(this_month - interval '1 month', this_month + interval '3 months', '1 month')
        ORDER BY 1
    LOOP
        PERFORM ensure_month_partition('audit_events', month);
    END LOOP;
END
$$;
"""


def upgrade() -> None:
    op.execute(CREATE_FUNCTION)
    op.execute(GRANTS)
    op.execute(FIRST_PARTITIONS)


def downgrade() -> None:
    # The partitions stay: they go with their table.
    op.execute("DROP FUNCTION ensure_month_partition(text, date)")
