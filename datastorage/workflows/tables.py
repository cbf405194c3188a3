"""The table ``remediation_workflow_catalog``: one row per version. Triggers are in the migrations."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Numeric,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    true,
)
from sqlalchemy.schema import conv

from datastorage.platform.db.columns import JSON_DOCUMENT, TIMESTAMPTZ, metadata
from datastorage.workflows.labels import STATUSES

NAME_AND_VERSION = "uq_workflow_name_version"
RATE = Numeric(4, 3)


def _check(name: str, condition: str) -> CheckConstraint:
    # conv(): the name is complete, the naming convention must not extend it.
    return CheckConstraint(condition, name=conv(name))


remediation_workflow_catalog = Table(
    "remediation_workflow_catalog",
    metadata,
    Column("workflow_id", Uuid, primary_key=True, server_default=func.gen_random_uuid()),
    Column("workflow_name", String(255), nullable=False),
    Column("version", String(50), nullable=False),
    Column("name", String(255), nullable=False),
    Column("description", Text, nullable=False),
    Column("owner", String(255)),
    Column("maintainer", String(255)),
    Column("content", Text, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("parameters", JSON_DOCUMENT),
    Column("execution_engine", String(50), nullable=False, server_default="tekton"),
    Column("container_image", Text),
    Column("container_digest", String(71)),
    Column("labels", JSON_DOCUMENT, nullable=False, server_default="{}"),
    Column("custom_labels", JSON_DOCUMENT, nullable=False, server_default="{}"),
    Column("detected_labels", JSON_DOCUMENT, nullable=False, server_default="{}"),
    Column("status", String(20), nullable=False, server_default="active"),
    Column("status_reason", Text),
    Column("disabled_at", TIMESTAMPTZ),
    Column("disabled_by", String(255)),
    Column("disabled_reason", Text),
    Column("is_latest_version", Boolean, nullable=False, server_default="false"),
    Column("previous_version", String(50)),
    Column("deprecation_notice", Text),
    Column("version_notes", Text),
    Column("change_summary", Text),
    Column("approved_by", String(255)),
    Column("approved_at", TIMESTAMPTZ),
    Column("expected_success_rate", RATE),
    Column("expected_duration_seconds", Integer),
    Column("actual_success_rate", RATE),
    Column("total_executions", Integer, nullable=False, server_default="0"),
    Column("successful_executions", Integer, nullable=False, server_default="0"),
    Column("created_at", TIMESTAMPTZ, nullable=False, server_default=func.clock_timestamp()),
    Column("updated_at", TIMESTAMPTZ, nullable=False, server_default=func.clock_timestamp()),
    Column("created_by", String(255)),
    Column("updated_by", String(255)),
    UniqueConstraint("workflow_name", "version", name=NAME_AND_VERSION),
    _check("ck_workflow_status", f"status IN {STATUSES}"),
    _check(
        "ck_workflow_expected_rate", "expected_success_rate IS NULL OR expected_success_rate BETWEEN 0 AND 1"
    ),
    _check("ck_workflow_actual_rate", "actual_success_rate IS NULL OR actual_success_rate BETWEEN 0 AND 1"),
    _check("ck_workflow_executions", "total_executions >= 0"),
    _check(
        "ck_workflow_successes", "successful_executions >= 0 AND successful_executions <= total_executions"
    ),
    _check(
        "ck_workflow_label_shapes",
        "jsonb_typeof(labels) = 'object' AND jsonb_typeof(custom_labels) = 'object'"
        " AND jsonb_typeof(detected_labels) = 'object'",
    ),
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
