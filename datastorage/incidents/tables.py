"""The three tables of incidents: a resource, its action history, and one trace per action.

Names and columns are inherited: other tools insert with plain SQL. Columns of a trace are the members of
``Trace``; a trigger of the migrations fills those that say where it happened, so that no read has to join.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    func,
)

from datastorage.incidents.enumerations import EXECUTION_STATUSES, SEVERITIES
from datastorage.incidents.trace import MEMBERS, OUTCOME_MEMBERS
from datastorage.platform.db.columns import TIMESTAMPTZ, metadata
from datastorage.platform.records import columns_of

TRACES_PARTITIONED_BY = "action_timestamp"


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _fraction(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} >= 0 AND {column} <= 1", name=column)


resource_references = Table(
    "resource_references",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("resource_uid", String(36), nullable=False),
    Column("api_version", String(100), nullable=False),
    Column("kind", String(100), nullable=False),
    Column("name", String(253), nullable=False),
    Column("namespace", String(63)),
    Column("cluster_name", String(255), nullable=False, server_default=""),
    Column("created_at", TIMESTAMPTZ, server_default=func.now()),
    Column("last_seen", TIMESTAMPTZ, server_default=func.now()),
    Column("deleted_at", TIMESTAMPTZ),
    UniqueConstraint("resource_uid"),
    # A cluster-scoped resource has no namespace, which is a value like any other: it exists once. The longest
    # names together would not fit a row of this index, see ``cluster_in_key``; a constraint on a digest would
    # fit, but other tools and the release before say ON CONFLICT with these four columns.
    UniqueConstraint("cluster_name", "namespace", "kind", "name", postgresql_nulls_not_distinct=True),
    info={"updated": {"resource_uid", "api_version", "last_seen", "deleted_at"}},
)

Index("idx_resource_kind", resource_references.c.kind)
Index("idx_resource_namespace", resource_references.c.namespace)
Index("idx_resource_last_seen", resource_references.c.last_seen)

# The settings in the middle are other tools': stored here, acted upon there.
action_histories = Table(
    "action_histories",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column(
        "resource_id", BigInteger, ForeignKey("resource_references.id", ondelete="CASCADE"), nullable=False
    ),
    Column("max_actions", Integer, server_default="1000"),
    Column("max_age_days", Integer, server_default="30"),
    Column("compaction_strategy", String(20), server_default="pattern-aware"),
    Column("oscillation_window_minutes", Integer, server_default="120"),
    Column("effectiveness_threshold", Numeric(3, 2), server_default="0.70"),
    Column("pattern_min_occurrences", Integer, server_default="3"),
    Column("total_actions", Integer, server_default="0"),
    Column("last_action_at", TIMESTAMPTZ),
    Column("last_analysis_at", TIMESTAMPTZ),
    Column("next_analysis_at", TIMESTAMPTZ),
    Column("created_at", TIMESTAMPTZ, server_default=func.now()),
    Column("updated_at", TIMESTAMPTZ, server_default=func.now()),
    UniqueConstraint("resource_id"),
    info={"updated": {"total_actions", "last_action_at"}},
)

Index("idx_ah_last_action", action_histories.c.last_action_at)
Index("idx_ah_next_analysis", action_histories.c.next_analysis_at)

resource_action_traces = Table(
    "resource_action_traces",
    metadata,
    # The record knows the type; that PostgreSQL counts is the table's affair.
    Column("id", BigInteger, autoincrement=True),
    *columns_of(each for each in MEMBERS if each.name != "id"),
    ForeignKeyConstraint(["action_history_id"], ["action_histories.id"], ondelete="CASCADE"),
    PrimaryKeyConstraint("id", TRACES_PARTITIONED_BY),
    UniqueConstraint("action_id", TRACES_PARTITIONED_BY),
    _one_of("signal_severity", SEVERITIES),
    _one_of("execution_status", EXECUTION_STATUSES),
    _fraction("model_confidence"),
    _fraction("effectiveness_score"),
    info={"partitioned_by": TRACES_PARTITIONED_BY, "updated": {each.name for each in OUTCOME_MEMBERS}},
    postgresql_partition_by=f"RANGE ({TRACES_PARTITIONED_BY})",
)

_c = resource_action_traces.c
_latest = _c.action_timestamp.desc()
_newest_first = (_latest, _c.id.desc())

Index("idx_rat_time_id", *_newest_first)
Index("idx_rat_namespace", _c.namespace, *_newest_first)
Index("idx_rat_signal_severity", _c.signal_severity, *_newest_first)
Index("idx_rat_cluster", _c.cluster_name, *_newest_first, postgresql_where=_c.cluster_name.is_not(None))
Index("idx_rat_signal_name", _c.signal_name, *_newest_first)
Index("idx_alert_name_lookup", _c.alert_name, *_newest_first, postgresql_where=_c.alert_name.is_not(None))
Index("idx_rat_action_type", _c.action_type, *_newest_first)
Index("idx_rat_execution_status", _c.execution_status, *_newest_first)
Index("idx_rat_correlation_id", _c.correlation_id, postgresql_where=_c.correlation_id.is_not(None))
Index(
    "idx_incident_type_success",
    _c.incident_type,
    _c.execution_status,
    _latest,
    postgresql_where=_c.incident_type.is_not(None),
)
Index(
    "idx_workflow_success",
    _c.workflow_id,
    _c.workflow_version,
    _c.execution_status,
    _latest,
    postgresql_where=_c.workflow_id.is_not(None),
)
Index(
    "idx_workflow_execution",
    _c.workflow_execution_id,
    _c.workflow_step_number,
    _latest,
    postgresql_where=_c.workflow_execution_id.is_not(None),
)
Index("idx_rat_action_history", _c.action_history_id, _c.action_timestamp)
