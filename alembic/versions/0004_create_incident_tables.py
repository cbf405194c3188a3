"""Create the tables of incidents: resources, their action histories, and traces by month."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
loses = ("resource_action_traces", "action_histories", "resource_references")

SEVERITIES = "signal_severity IN ('critical', 'high', 'medium', 'low', 'warning', 'info')"
STATUSES = (
    "execution_status IN ('pending', 'executing', 'in_progress', 'completed', 'failed', 'rolled-back', 'cancelled')"
)

RESOURCE_INDEXES = {
    "idx_resource_kind": "kind",
    "idx_resource_namespace": "namespace",
    "idx_resource_last_seen": "last_seen",
}
HISTORY_INDEXES = {"idx_ah_last_action": "last_action_at", "idx_ah_next_analysis": "next_analysis_at"}

# Name, columns, and the column that has to be set. Rows of the list endpoint come out of each filter's index
# in the order of the list.
NEWEST_FIRST = ["action_timestamp DESC", "id DESC"]
LATEST = ["action_timestamp DESC"]
TRACE_INDEXES = (
    ("idx_rat_time_id", NEWEST_FIRST, None),
    ("idx_rat_namespace", ["namespace", *NEWEST_FIRST], None),
    ("idx_rat_signal_severity", ["signal_severity", *NEWEST_FIRST], None),
    ("idx_rat_cluster", ["cluster_name", *NEWEST_FIRST], "cluster_name"),
    ("idx_rat_signal_name", ["signal_name", *NEWEST_FIRST], None),
    ("idx_alert_name_lookup", ["alert_name", *NEWEST_FIRST], "alert_name"),
    ("idx_rat_action_type", ["action_type", *NEWEST_FIRST], None),
    ("idx_rat_execution_status", ["execution_status", *NEWEST_FIRST], None),
    ("idx_rat_correlation_id", ["correlation_id"], "correlation_id"),
    ("idx_incident_type_success", ["incident_type", "execution_status", *LATEST], "incident_type"),
    ("idx_workflow_success", ["workflow_id", "workflow_version", "execution_status", *LATEST], "workflow_id"),
    (
        "idx_workflow_execution",
        ["workflow_execution_id", "workflow_step_number", *LATEST],
        "workflow_execution_id",
    ),
    ("idx_rat_action_history", ["action_history_id", "action_timestamp"], None),
)

# Filters read the trace alone, and older producers write only the parents' keys. The search_path of this
# migration is kept with the function: it finds our tables from a session with any other.
PARENT_TRIGGER = """
CREATE FUNCTION fill_trace_from_resource() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    SELECT coalesce(NEW.namespace, r.namespace),
           coalesce(NEW.cluster_name, nullif(r.cluster_name, '')),
           coalesce(NEW.resource_kind, r.kind),
           coalesce(NEW.resource_name, r.name)
    INTO NEW.namespace, NEW.cluster_name, NEW.resource_kind, NEW.resource_name
    FROM action_histories h JOIN resource_references r ON r.id = h.resource_id
    WHERE h.id = NEW.action_history_id;
    RETURN NEW;
END
$$;

CREATE TRIGGER trg_fill_trace_from_resource BEFORE INSERT ON resource_action_traces FOR EACH ROW
WHEN (NEW.namespace IS NULL OR NEW.cluster_name IS NULL
      OR NEW.resource_kind IS NULL OR NEW.resource_name IS NULL)
EXECUTE FUNCTION fill_trace_from_resource();
"""

CHANGE_TRIGGERS = """
CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

CREATE TRIGGER trg_resource_action_traces_updated_at BEFORE UPDATE ON resource_action_traces
FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER trg_action_histories_updated_at BEFORE UPDATE ON action_histories
FOR EACH ROW EXECUTE FUNCTION set_updated_at();
"""

VIEW = """
CREATE VIEW incident_summary_view AS
SELECT signal_severity AS severity, count(*) AS incident_count
FROM resource_action_traces GROUP BY signal_severity
"""

GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'datastorage_app') THEN
        REVOKE ALL ON resource_references, action_histories, resource_action_traces, incident_summary_view
            FROM datastorage_app;
        GRANT SELECT, INSERT, UPDATE ON resource_references, action_histories, resource_action_traces
            TO datastorage_app;
        -- Named, to count what lies outside all months without reading the months.
        GRANT SELECT ON incident_summary_view, resource_action_traces_default TO datastorage_app;
        REVOKE ALL ON SEQUENCE resource_references_id_seq, action_histories_id_seq, resource_action_traces_id_seq
            FROM datastorage_app;
        GRANT USAGE ON SEQUENCE resource_references_id_seq, action_histories_id_seq, resource_action_traces_id_seq
            TO datastorage_app;
    END IF;
END
$$;
"""


def upgrade() -> None:
    _create_resource_references()
    _create_action_histories()
    _create_resource_action_traces()
    # A missing month must never reject a write of another tool.
    op.execute("CREATE TABLE resource_action_traces_default PARTITION OF resource_action_traces DEFAULT")
    op.execute(PARENT_TRIGGER)
    op.execute(CHANGE_TRIGGERS)
    op.execute(VIEW)
    op.execute(GRANTS)


def _create_resource_references() -> None:
    op.create_table(
        "resource_references",
        sa.Column("id", sa.BigInteger(), autoincrement=True),
        sa.Column("resource_uid", sa.String(36), nullable=False),
        sa.Column("api_version", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("namespace", sa.String(63)),
        sa.Column("cluster_name", sa.String(255), nullable=False, server_default=""),
        _time("created_at", server_default=sa.func.now()),
        _time("last_seen", server_default=sa.func.now()),
        _time("deleted_at"),
        sa.PrimaryKeyConstraint("id", name="pk_resource_references"),
        sa.UniqueConstraint("resource_uid", name="uq_resource_references_resource_uid"),
        sa.UniqueConstraint(
            "cluster_name",
            "namespace",
            "kind",
            "name",
            name="uq_resource_references_cluster_name_namespace_kind_name",
            postgresql_nulls_not_distinct=True,
        ),
    )
    for name, column in RESOURCE_INDEXES.items():
        op.create_index(name, "resource_references", [column])


def _create_action_histories() -> None:
    op.create_table(
        "action_histories",
        sa.Column("id", sa.BigInteger(), autoincrement=True),
        sa.Column("resource_id", sa.BigInteger(), nullable=False),
        sa.Column("max_actions", sa.Integer(), server_default="1000"),
        sa.Column("max_age_days", sa.Integer(), server_default="30"),
        sa.Column("compaction_strategy", sa.String(20), server_default="pattern-aware"),
        sa.Column("oscillation_window_minutes", sa.Integer(), server_default="120"),
        sa.Column("effectiveness_threshold", sa.Numeric(3, 2), server_default="0.70"),
        sa.Column("pattern_min_occurrences", sa.Integer(), server_default="3"),
        sa.Column("total_actions", sa.Integer(), server_default="0"),
        _time("last_action_at"),
        _time("last_analysis_at"),
        _time("next_analysis_at"),
        _time("created_at", server_default=sa.func.now()),
        _time("updated_at", server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_action_histories"),
        sa.UniqueConstraint("resource_id", name="uq_action_histories_resource_id"),
        sa.ForeignKeyConstraint(
            ["resource_id"],
            ["resource_references.id"],
            name="fk_action_histories_resource_id",
            ondelete="CASCADE",
        ),
    )
    for name, column in HISTORY_INDEXES.items():
        op.create_index(name, "action_histories", [column])


def _create_resource_action_traces() -> None:
    op.create_table(
        "resource_action_traces",
        *_first_columns(),
        *_later_columns(),
        sa.PrimaryKeyConstraint("id", "action_timestamp", name="pk_resource_action_traces"),
        sa.UniqueConstraint(
            "action_id", "action_timestamp", name="uq_resource_action_traces_action_id_action_timestamp"
        ),
        sa.ForeignKeyConstraint(
            ["action_history_id"],
            ["action_histories.id"],
            name="fk_resource_action_traces_action_history_id",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(SEVERITIES, name=op.f("ck_resource_action_traces_signal_severity")),
        sa.CheckConstraint(STATUSES, name=op.f("ck_resource_action_traces_execution_status")),
        _fraction("model_confidence"),
        _fraction("effectiveness_score"),
        postgresql_partition_by="RANGE (action_timestamp)",
    )
    for name, columns, required in TRACE_INDEXES:
        op.create_index(
            name,
            "resource_action_traces",
            [sa.text(column) for column in columns],
            postgresql_where=sa.text(f"{required} IS NOT NULL") if required else None,
        )


def _first_columns() -> list[sa.Column]:
    return [
        sa.Column("id", sa.BigInteger(), autoincrement=True),
        sa.Column("action_history_id", sa.BigInteger(), nullable=False),
        sa.Column("action_id", sa.String(64), nullable=False),
        sa.Column("correlation_id", sa.String(64)),
        _time("action_timestamp", nullable=False),
        _time("execution_start_time"),
        _time("execution_end_time"),
        sa.Column("execution_duration_ms", sa.Integer()),
        sa.Column("signal_name", sa.String(200), nullable=False),
        sa.Column("signal_severity", sa.String(20), nullable=False),
        sa.Column("signal_labels", postgresql.JSONB()),
        sa.Column("signal_annotations", postgresql.JSONB()),
        _time("signal_firing_time"),
        sa.Column("model_used", sa.String(100), nullable=False),
        sa.Column("routing_tier", sa.String(20)),
        sa.Column("model_confidence", sa.Numeric(4, 3), nullable=False),
        sa.Column("model_reasoning", sa.Text()),
        sa.Column("alternative_actions", postgresql.JSONB()),
        sa.Column("action_type", sa.String(50), nullable=False),
        sa.Column("action_parameters", postgresql.JSONB()),
        sa.Column("resource_state_before", postgresql.JSONB()),
        sa.Column("resource_state_after", postgresql.JSONB()),
        sa.Column("execution_status", sa.String(20), nullable=False, server_default="pending"),
        sa.Column("execution_error", sa.Text()),
        sa.Column("kubernetes_operations", postgresql.JSONB()),
        sa.Column("effectiveness_score", sa.Numeric(4, 3)),
        sa.Column("effectiveness_criteria", postgresql.JSONB()),
        _time("effectiveness_assessed_at"),
        _time("effectiveness_assessment_due"),
        sa.Column("effectiveness_assessment_method", sa.String(20)),
        sa.Column("effectiveness_notes", sa.Text()),
        sa.Column("follow_up_actions", postgresql.JSONB()),
    ]


def _later_columns() -> list[sa.Column]:
    return [
        _time("created_at", nullable=False, server_default=sa.func.now()),
        _time("updated_at", nullable=False, server_default=sa.func.now()),
        sa.Column("incident_type", sa.String(100)),
        sa.Column("alert_name", sa.String(255)),
        sa.Column("incident_severity", sa.String(20)),
        sa.Column("workflow_id", sa.String(64)),
        sa.Column("workflow_version", sa.String(20)),
        sa.Column("workflow_step_number", sa.Integer()),
        sa.Column("workflow_execution_id", sa.String(64)),
        sa.Column("ai_selected_workflow", sa.Boolean(), server_default="false"),
        sa.Column("ai_chained_workflows", sa.Boolean(), server_default="false"),
        sa.Column("ai_manual_escalation", sa.Boolean(), server_default="false"),
        sa.Column("ai_workflow_customization", postgresql.JSONB()),
        sa.Column("namespace", sa.String(63)),
        sa.Column("cluster_name", sa.String(255)),
        sa.Column("environment", sa.String(100)),
        sa.Column("signal_fingerprint", sa.String(64)),
        sa.Column("resource_kind", sa.String(100)),
        sa.Column("resource_name", sa.String(253)),
    ]


def _time(name: str, **options: object) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), **options)


def _fraction(column: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(
        f"{column} >= 0 AND {column} <= 1", name=op.f(f"ck_resource_action_traces_{column}")
    )


def downgrade() -> None:
    # A detached month still uses the sequence and the triggers' functions; then this fails, and nothing is lost.
    op.execute("DROP VIEW incident_summary_view")
    op.drop_table("resource_action_traces")
    op.drop_table("action_histories")
    op.drop_table("resource_references")
    op.execute("DROP FUNCTION set_updated_at()")
    op.execute("DROP FUNCTION fill_trace_from_resource()")
