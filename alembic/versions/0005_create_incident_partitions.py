"""Let ensure_month_partition() serve resource_action_traces too, and create its first partitions.

Those have a default partition beside them. Rows that came before their month had a partition are moved
into it in the transaction that creates it.
"""

from alembic import context, op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
loses = ()

# See 0003 for the rights, the locks and the advisory lock; what is new is the second WHEN, and that a table
# may have a default partition. Attaching locks that one and looks through it in any case; it is locked before
# anything is moved, so that no row arrives in between.
FUNCTION = """
CREATE OR REPLACE FUNCTION ensure_month_partition(parent_table text, month date) RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
DECLARE
    our_schema constant text := @schema@;
    first_day constant date := make_date(extract(year FROM month)::int, extract(month FROM month)::int, 1);
    next_month constant date := first_day + interval '1 month';
    bound text := 'YYYY-MM-DD';
    month_name text;
    partition text;
    default_partition text;
    key text;
    no_truncate_trigger text;
    attached boolean;
BEGIN
    IF first_day IS NULL OR first_day < '2000-01-01' OR first_day >= '2200-01-01' THEN
        RAISE EXCEPTION 'not a month from 2000-01 to 2199-12: %', month USING ERRCODE = 'invalid_parameter_value';
    END IF;
    CASE parent_table
        WHEN 'audit_events' THEN
            month_name := '_YYYY_MM';
            no_truncate_trigger := 'trg_audit_events_no_truncate';
        WHEN 'resource_action_traces' THEN
            month_name := '_"y"YYYY"m"MM';
            bound := 'YYYY-MM-DD" 00:00:00+00"';
            key := 'action_timestamp';
            default_partition := 'resource_action_traces_default';
        ELSE
            RAISE EXCEPTION 'no table with monthly partitions: %', parent_table
                USING ERRCODE = 'invalid_parameter_value';
    END CASE;
    partition := parent_table || to_char(first_day, month_name);

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
    IF no_truncate_trigger IS NOT NULL THEN
        -- Row triggers, keys and indexes come with ATTACH; a TRUNCATE trigger does not.
        EXECUTE format(
            'CREATE TRIGGER %4$I BEFORE TRUNCATE ON %1$I.%2$I FOR EACH STATEMENT'
            ' EXECUTE FUNCTION %1$I.prevent_audit_event_change(%3$L)',
            our_schema, partition, parent_table, no_truncate_trigger);
    END IF;
    IF default_partition IS NOT NULL THEN
        EXECUTE format('LOCK TABLE %1$I.%2$I IN ACCESS EXCLUSIVE MODE', our_schema, default_partition);
        EXECUTE format(
            'WITH moved AS (DELETE FROM %1$I.%2$I WHERE %4$I >= %5$L AND %4$I < %6$L RETURNING *)'
            ' INSERT INTO %1$I.%3$I SELECT * FROM moved',
            our_schema, default_partition, partition, key,
            to_char(first_day, bound), to_char(next_month, bound));
    END IF;
    EXECUTE format(
        'ALTER TABLE %1$I.%3$I ATTACH PARTITION %1$I.%2$I FOR VALUES FROM (%4$L) TO (%5$L)',
        our_schema, partition, parent_table, to_char(first_day, bound), to_char(next_month, bound));
    RETURN 'created';
END
$$;
"""

REPLACE_FUNCTION = f"""
DO $migration$
BEGIN
    EXECUTE replace($function${FUNCTION}$function$, '@schema@', quote_literal(current_schema()));
END
$migration$;
"""

FIRST_PARTITIONS = """
DO $$
DECLARE
    months_ahead constant interval := '3 months';
    month date;
BEGIN
    FOR month IN
        SELECT generate_series(
            timestamp '2025-07-01', date_trunc('month', now() AT TIME ZONE 'UTC') + months_ahead, '1 month')
    LOOP
        PERFORM ensure_month_partition('resource_action_traces', month);
    END LOOP;
END
$$;
"""


def upgrade() -> None:
    op.execute(REPLACE_FUNCTION)
    op.execute(FIRST_PARTITIONS)


def downgrade() -> None:
    # The partitions stay: they go with their table.
    before = context.script.get_revision("0003").module
    op.execute("DROP FUNCTION ensure_month_partition(text, date)")
    op.execute(before.CREATE_FUNCTION)
    op.execute(before.GRANTS)
