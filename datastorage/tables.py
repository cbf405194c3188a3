"""Contents page: every table of the service, and the schema revision the code is written for."""

from datastorage.audit.tables import audit_event_ids, audit_events, audit_unsealed
from datastorage.incidents.tables import action_histories, resource_action_traces, resource_references
from datastorage.ledger.tables import (
    ledger_checkpoints,
    ledger_entries,
    ledger_feed,
    ledger_statements,
    ledger_tiles,
)
from datastorage.notifications.tables import notification_audit
from datastorage.platform.db.columns import metadata
from datastorage.workflows.tables import remediation_workflow_catalog

__all__ = [
    "SCHEMA_REVISION",
    "action_histories",
    "audit_event_ids",
    "audit_events",
    "audit_unsealed",
    "ledger_checkpoints",
    "ledger_entries",
    "ledger_feed",
    "ledger_statements",
    "ledger_tiles",
    "metadata",
    "notification_audit",
    "remediation_workflow_catalog",
    "resource_action_traces",
    "resource_references",
]

SCHEMA_REVISION = "0011"
"""Newest migration; a database that is behind it makes the service not ready."""
