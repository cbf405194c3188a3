"""The table ``notification_audit``: one row per delivery of a notification, never changed."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
)

from datastorage.platform.db.columns import TIMESTAMPTZ, metadata

CHANNELS = ("email", "slack", "pagerduty", "sms", "webhook")
STATUSES = ("sent", "failed", "acknowledged", "escalated", "pending")


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


notification_audit = Table(
    "notification_audit",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("remediation_id", String(255), nullable=False),
    Column("notification_id", String(255), nullable=False),
    Column("recipient", String(255), nullable=False),
    Column("channel", String(50), nullable=False),
    Column("message_summary", Text, nullable=False),
    Column("status", String(50), nullable=False),
    Column("sent_at", TIMESTAMPTZ, nullable=False),
    Column("delivery_status", Text),
    Column("error_message", Text),
    Column("escalation_level", Integer, nullable=False, server_default="0"),
    Column("created_at", TIMESTAMPTZ, nullable=False, server_default=func.now()),
    Column("updated_at", TIMESTAMPTZ, nullable=False, server_default=func.now()),
    UniqueConstraint("notification_id"),
    _one_of("channel", CHANNELS),
    _one_of("status", STATUSES),
)

_columns = notification_audit.c

Index("idx_notification_audit_notification_id", _columns.notification_id)
Index("idx_notification_audit_remediation_id", _columns.remediation_id)
Index("idx_notification_audit_channel", _columns.channel)
Index("idx_notification_audit_status", _columns.status)
Index("idx_notification_audit_created_at", _columns.created_at.desc())
