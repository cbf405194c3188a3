"""Contents page: every table of the service, and the schema revision the code is written for."""

from datastorage.audit.tables import audit_events
from datastorage.notifications.tables import notification_audit
from datastorage.platform.db.columns import metadata

__all__ = ["SCHEMA_REVISION", "audit_events", "metadata", "notification_audit"]

SCHEMA_REVISION = "0003"
"""Newest migration; a database that is behind it makes the service not ready."""
