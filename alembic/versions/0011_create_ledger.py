"""Create the tables of the ledger: what waits for its leaf, the leaves, tiles, checkpoints and statements."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
loses = ("ledger_entries", "ledger_tiles", "ledger_checkpoints", "ledger_statements")
makes_again = ("audit_unsealed", "ledger_feed")
"""Tables that the upgrade puts rows into; what else is in them follows from the others."""

# Rows live for a moment: dead ones are many, and the table is small.
STORAGE = """
ALTER TABLE audit_unsealed SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
ALTER TABLE ledger_tiles ALTER hashes SET STORAGE EXTERNAL;
"""

TRIGGERS = """
CREATE TRIGGER trg_{table}_append_only BEFORE UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION prevent_audit_event_change('{table}');

CREATE TRIGGER trg_{table}_no_truncate BEFORE TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION prevent_audit_event_change('{table}');
"""

# As ensure_month_partition(): the caller chooses a number, never a name, and writers are waited for briefly.
FUNCTION = """
CREATE FUNCTION ensure_ledger_partition(number bigint) RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
DECLARE
    our_schema constant text := @schema@;
    partition constant text := 'ledger_entries_' || number;
    leaves constant bigint := 16777216;
BEGIN
    IF number IS NULL OR number < 0 OR number >= 549755813888 THEN
        RAISE EXCEPTION 'not a partition of leaves: %', number USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('datastorage.partitions', 0));
    IF to_regclass(format('%I.%I', our_schema, partition)) IS NOT NULL THEN
        RETURN 'exists';
    END IF;
    EXECUTE format(
        'CREATE TABLE %1$I.%2$I (LIKE %1$I.ledger_entries INCLUDING DEFAULTS INCLUDING CONSTRAINTS'
        ' INCLUDING STORAGE INCLUDING COMPRESSION)', our_schema, partition);
    EXECUTE format(
        'CREATE TRIGGER trg_ledger_entries_no_truncate BEFORE TRUNCATE ON %1$I.%2$I FOR EACH STATEMENT'
        ' EXECUTE FUNCTION %1$I.prevent_audit_event_change(''ledger_entries'')', our_schema, partition);
    EXECUTE format(
        'ALTER TABLE %1$I.ledger_entries ATTACH PARTITION %1$I.%2$I FOR VALUES FROM (%3$s) TO (%4$s)',
        our_schema, partition, number * leaves, (number + 1) * leaves);
    RETURN 'created';
END
$$;
"""

CREATE_FUNCTION = f"""
DO $migration$
BEGIN
    EXECUTE replace($function${FUNCTION}$function$, '@schema@', quote_literal(current_schema()));
END
$migration$;
REVOKE ALL ON FUNCTION ensure_ledger_partition(bigint) FROM PUBLIC;
SELECT ensure_ledger_partition(0);
SELECT ensure_ledger_partition(1);
"""

GRANTS = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'datastorage_app') THEN
        RETURN;
    END IF;
    GRANT EXECUTE ON FUNCTION ensure_ledger_partition(bigint) TO datastorage_app;
    IF pg_has_role('datastorage_app', (SELECT relowner FROM pg_class WHERE oid = 'audit_events'::regclass), 'USAGE') THEN
        RETURN;
    END IF;
    REVOKE ALL ON audit_unsealed, ledger_entries, ledger_tiles, ledger_checkpoints, ledger_feed, ledger_statements
        FROM datastorage_app;
    GRANT SELECT, INSERT, DELETE ON audit_unsealed TO datastorage_app;
    GRANT SELECT, INSERT ON ledger_entries, ledger_statements, ledger_tiles TO datastorage_app;
    GRANT UPDATE (hashes) ON ledger_tiles TO datastorage_app;
    GRANT SELECT, INSERT, DELETE ON ledger_checkpoints TO datastorage_app;
    GRANT UPDATE (published_at, note) ON ledger_checkpoints TO datastorage_app;
    GRANT SELECT ON ledger_feed TO datastorage_app;
    GRANT UPDATE (first_index) ON ledger_feed TO datastorage_app;
END
$$;
"""

# A store without events has nothing to seal later: its ledger is complete from the beginning.
COMPLETE = """
INSERT INTO audit_unsealed (event_id, statement)
SELECT id, concat(
    '{"statement_id":"', id, '","type":"backfill","at":"',
    to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    '","by":"datastorage","months":[],"rows":0,"first_leaf":null,"last_leaf":null}')
FROM gen_random_uuid() AS id WHERE NOT EXISTS (SELECT FROM audit_events)
"""


def upgrade() -> None:
    op.create_table(
        "audit_unsealed",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("event_date", sa.Date()),
        sa.Column("statement", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_audit_unsealed"),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("leaf_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("correlation_tag", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("event_date", sa.Date()),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("leaf_index", name="pk_ledger_entries"),
        postgresql_partition_by="RANGE (leaf_index)",
    )
    op.create_index("idx_ledger_entries_tag", "ledger_entries", ["correlation_tag", "leaf_index"])
    op.create_index("idx_ledger_entries_date", "ledger_entries", ["event_date"], postgresql_using="brin")
    op.create_table(
        "ledger_tiles",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "n", name="pk_ledger_tiles"),
    )
    op.create_table(
        "ledger_checkpoints",
        sa.Column("tree_size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True)),
        sa.Column("note", sa.Text()),
        sa.PrimaryKeyConstraint("tree_size", name="pk_ledger_checkpoints"),
    )
    op.create_table(
        "ledger_feed",
        sa.Column("one", sa.Boolean(), nullable=False),
        sa.Column("first_index", sa.BigInteger(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("one", name="pk_ledger_feed"),
        sa.CheckConstraint("one", name="one"),
    )
    op.create_table(
        "ledger_statements",
        sa.Column("leaf_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("statement_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(100), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("leaf_index", name="pk_ledger_statements"),
        sa.UniqueConstraint("statement_id", name="uq_ledger_statements_statement_id"),
    )
    op.create_index("idx_ledger_statements_type", "ledger_statements", ["type", "leaf_index"])
    op.execute(STORAGE)
    for table in ("ledger_entries", "ledger_statements"):
        op.execute(TRIGGERS.format(table=table))
    op.execute(CREATE_FUNCTION)
    op.execute(GRANTS)
    op.execute("INSERT INTO ledger_feed (one) VALUES (true)")
    op.execute(COMPLETE.replace(":", "\\:"))  # no parameters: members and times


def downgrade() -> None:
    for table in (*loses, *makes_again):
        op.drop_table(table)
    op.execute("DROP FUNCTION ensure_ledger_partition(bigint)")
