"""The table ``notification_audit``: one row per delivery of a notification, never changed."""

from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint, Table, UniqueConstraint

from datastorage.notifications.model import CHANNELS, MEMBERS, STATUSES
from datastorage.platform.db.columns import metadata
from datastorage.platform.records import columns_of


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


notification_audit = Table(
    "notification_audit",
    metadata,
    *columns_of(MEMBERS),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("notification_id"),
    _one_of("channel", CHANNELS),
    _one_of("status", STATUSES),
    info={"append_only": True},
)

_columns = notification_audit.c

Index("idx_notification_audit_notification_id", _columns.notification_id)
Index("idx_notification_audit_remediation_id", _columns.remediation_id)
Index("idx_notification_audit_channel", _columns.channel)
Index("idx_notification_audit_status", _columns.status)
Index("idx_notification_audit_created_at", _columns.created_at.desc())
