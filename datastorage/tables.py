"""Contents page: every table of the service, and the schema revision the code is written for."""

from datastorage.audit.tables import audit_event_ids, audit_events
from datastorage.incidents.tables import action_histories, resource_action_traces, resource_references
from datastorage.notifications.tables import notification_audit
from datastorage.platform.db.columns import metadata
from datastorage.workflows.tables import remediation_workflow_catalog

__all__ = [
    "SCHEMA_REVISION",
    "action_histories",
    "audit_event_ids",
    "audit_events",
    "metadata",
    "notification_audit",
    "remediation_workflow_catalog",
    "resource_action_traces",
    "resource_references",
]

SCHEMA_REVISION = "0010"
"""Newest migration; a database that is behind it makes the service not ready."""
