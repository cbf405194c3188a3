"""Create audit_events: partitioned by month, append-only."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
loses = ("audit_events",)

INDEXES = {
    "idx_audit_events_event_timestamp": ["event_timestamp DESC"],
    "idx_audit_events_correlation_id": ["correlation_id", "event_timestamp DESC"],
    "idx_audit_events_event_type": ["event_type", "event_timestamp DESC"],
    "idx_audit_events_resource": ["resource_type", "resource_id", "event_timestamp DESC"],
    "idx_audit_events_actor": ["actor_type", "actor_id", "event_timestamp DESC"],
    "idx_audit_events_outcome": ["event_outcome", "event_timestamp DESC"],
    "idx_audit_events_event_date": ["event_date"],
    "idx_audit_events_category": ["event_category", "event_timestamp DESC"],
    "idx_audit_events_cursor": ["event_timestamp DESC", "event_id DESC"],
}

# The condition keeps the price at a comparison for every row that is right already, which is every row
# the service writes: the function is not even called.
DATE_TRIGGER = """
CREATE FUNCTION set_audit_event_date() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.event_date := (NEW.event_timestamp AT TIME ZONE 'UTC')::date;
    RETURN NEW;
END
$$;

CREATE TRIGGER trg_set_audit_event_date BEFORE INSERT ON audit_events FOR EACH ROW
WHEN (NEW.event_date IS DISTINCT FROM (NEW.event_timestamp AT TIME ZONE 'UTC')::date)
EXECUTE FUNCTION set_audit_event_date();
"""

# The first argument is the table as people know it; TG_TABLE_NAME would be the partition. The constraint
# name keeps this refusal apart from "no partition found for row", which has the same SQLSTATE and no name.
# An unset guard is NULL and lets nothing pass.
CHANGE_TRIGGERS = """
CREATE FUNCTION prevent_audit_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('datastorage.purge_guard', true) = pg_current_xact_id_if_assigned()::text THEN
        RETURN CASE TG_OP WHEN 'UPDATE' THEN NEW ELSE OLD END;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_ARGV[0]
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END
$$;

CREATE TRIGGER trg_audit_events_append_only BEFORE UPDATE OR DELETE ON audit_events
FOR EACH ROW EXECUTE FUNCTION prevent_audit_event_change('audit_events');

CREATE TRIGGER trg_audit_events_no_truncate BEFORE TRUNCATE ON audit_events
FOR EACH STATEMENT EXECUTE FUNCTION prevent_audit_event_change('audit_events');
"""

GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'datastorage_app') THEN
        REVOKE ALL ON audit_events, alembic_version FROM datastorage_app;
        GRANT SELECT, INSERT ON audit_events TO datastorage_app;
        GRANT SELECT ON alembic_version TO datastorage_app;
    END IF;
END
$$;
"""


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("event_id", sa.Uuid(), server_default=sa.func.gen_random_uuid()),
        sa.Column("event_version", sa.String(20), nullable=False, server_default="1.0"),
        sa.Column("event_timestamp", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("event_date", sa.Date()),
        sa.Column("event_type", sa.String(100), nullable=False),
        sa.Column("event_category", sa.String(50), nullable=False),
        sa.Column("event_action", sa.String(50), nullable=False),
        sa.Column("event_outcome", sa.String(20), nullable=False),
        sa.Column("actor_type", sa.String(50), nullable=False),
        sa.Column("actor_id", sa.String(255), nullable=False),
        sa.Column("actor_ip", postgresql.INET()),
        sa.Column("resource_type", sa.String(100), nullable=False),
        sa.Column("resource_id", sa.String(255), nullable=False),
        sa.Column("resource_name", sa.String(255)),
        sa.Column("correlation_id", sa.String(255), nullable=False),
        sa.Column("parent_event_id", sa.Uuid()),
        sa.Column("parent_event_date", sa.Date()),
        sa.Column("trace_id", sa.String(255)),
        sa.Column("span_id", sa.String(255)),
        sa.Column("namespace", sa.String(253)),
        sa.Column("cluster_name", sa.String(255)),
        sa.Column("event_data", postgresql.JSONB(), nullable=False),
        sa.Column("event_metadata", postgresql.JSONB()),
        sa.Column("severity", sa.String(20)),
        sa.Column("duration_ms", sa.Integer()),
        sa.Column("error_code", sa.String(50)),
        sa.Column("error_message", sa.Text()),
        sa.Column("retention_days", sa.Integer(), server_default="2555"),
        sa.Column("is_sensitive", sa.Boolean(), server_default="false"),
        sa.PrimaryKeyConstraint("event_id", "event_date", name="pk_audit_events"),
        sa.ForeignKeyConstraint(
            ["parent_event_id", "parent_event_date"],
            ["audit_events.event_id", "audit_events.event_date"],
            name="fk_audit_events_parent",
            ondelete="RESTRICT",
        ),
        postgresql_partition_by="RANGE (event_date)",
    )
    for name, columns in INDEXES.items():
        op.create_index(name, "audit_events", [sa.text(column) for column in columns])
    op.create_index(
        "idx_audit_events_event_data_gin",
        "audit_events",
        ["event_data"],
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        "idx_audit_events_parent_event",
        "audit_events",
        ["parent_event_id", "parent_event_date"],
        postgresql_where=sa.text("parent_event_id IS NOT NULL"),
    )
    op.execute(DATE_TRIGGER)
    op.execute(CHANGE_TRIGGERS)
    op.execute(GRANTS)


def downgrade() -> None:
    # A detached month still refers to the table and the function; then this fails, and nothing is lost.
    op.drop_table("audit_events")
    op.execute("DROP FUNCTION prevent_audit_event_change()")
    op.execute("DROP FUNCTION set_audit_event_date()")
