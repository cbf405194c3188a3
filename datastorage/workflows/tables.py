"""The table ``remediation_workflow_catalog``: one row per version. Triggers are in the migrations.

Its columns are the members of ``Workflow``. The longest texts fit the indexes, whatever their characters: a
row of the largest holds 305 of four bytes, less than half of what PostgreSQL takes.
"""

from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint, Table, UniqueConstraint, true
from sqlalchemy.schema import conv

from datastorage.platform.db.columns import metadata
from datastorage.platform.records import columns_of
from datastorage.workflows.labels import STATUSES
from datastorage.workflows.workflow import CHANGEABLE, MEMBERS

NAME_AND_VERSION = "uq_workflow_name_version"


def _check(name: str, condition: str) -> CheckConstraint:
    # conv(): the name is complete, the naming convention must not extend it.
    return CheckConstraint(condition, name=conv(name))


def _share(name: str, column: str) -> CheckConstraint:
    return _check(name, f"{column} IS NULL OR {column} BETWEEN 0 AND 1")


remediation_workflow_catalog = Table(
    "remediation_workflow_catalog",
    metadata,
    *columns_of(MEMBERS),
    PrimaryKeyConstraint("workflow_id"),
    UniqueConstraint("workflow_name", "version", name=NAME_AND_VERSION),
    _check("ck_workflow_status", f"status IN {STATUSES}"),
    _share("ck_workflow_expected_rate", "expected_success_rate"),
    _share("ck_workflow_actual_rate", "actual_success_rate"),
    _check("ck_workflow_executions", "total_executions >= 0"),
    _check(
        "ck_workflow_successes", "successful_executions >= 0 AND successful_executions <= total_executions"
    ),
    _check(
        "ck_workflow_label_shapes",
        "jsonb_typeof(labels) = 'object' AND jsonb_typeof(custom_labels) = 'object'"
        " AND jsonb_typeof(detected_labels) = 'object'",
    ),
    info={"updated": frozenset(each.name for each in CHANGEABLE) - {"updated_at"}},  # a trigger sets that
)

_columns = remediation_workflow_catalog.c
IS_LATEST = _columns.is_latest_version == true()

Index("idx_workflow_catalog_latest_by_name", _columns.workflow_name, unique=True, postgresql_where=IS_LATEST)
Index("idx_workflow_catalog_workflow_name", _columns.workflow_name)
Index(
    "idx_workflow_catalog_search",
    _columns.labels["signal_type"].astext,
    _columns.labels["severity"].astext,
    postgresql_where=IS_LATEST,
)
Index("idx_workflow_catalog_status", _columns.status)
Index("idx_workflow_catalog_created_at", _columns.created_at.desc(), _columns.workflow_id)
Index("idx_workflow_catalog_labels", _columns.labels, postgresql_using="gin")
Index("idx_workflow_catalog_custom_labels", _columns.custom_labels, postgresql_using="gin")
Index("idx_workflow_catalog_detected_labels", _columns.detected_labels, postgresql_using="gin")
Index(
    "idx_workflow_catalog_success_rate",
    _columns.actual_success_rate.desc(),
    postgresql_where=_columns.status == "active",
)
Index(
    "idx_workflow_catalog_container_digest",
    _columns.container_digest,
    postgresql_where=_columns.container_digest.is_not(None),
)
