"""Create notification_audit: append-only like audit_events."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
loses = ("notification_audit",)

CHANNELS = "channel IN ('email', 'slack', 'pagerduty', 'sms', 'webhook')"
STATUSES = "status IN ('sent', 'failed', 'acknowledged', 'escalated', 'pending')"

INDEXES = {
    "idx_notification_audit_notification_id": "notification_id",
    "idx_notification_audit_remediation_id": "remediation_id",
    "idx_notification_audit_channel": "channel",
    "idx_notification_audit_status": "status",
    "idx_notification_audit_created_at": "created_at DESC",
}

CHANGE_TRIGGERS = """
CREATE TRIGGER trg_notification_audit_append_only BEFORE UPDATE OR DELETE ON notification_audit
FOR EACH ROW EXECUTE FUNCTION prevent_audit_event_change('notification_audit');

CREATE TRIGGER trg_notification_audit_no_truncate BEFORE TRUNCATE ON notification_audit
FOR EACH STATEMENT EXECUTE FUNCTION prevent_audit_event_change('notification_audit');
"""

GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'datastorage_app') THEN
        REVOKE ALL ON notification_audit FROM datastorage_app;
        REVOKE ALL ON SEQUENCE notification_audit_id_seq FROM datastorage_app;
        GRANT SELECT, INSERT ON notification_audit TO datastorage_app;
        GRANT USAGE ON SEQUENCE notification_audit_id_seq TO datastorage_app;
    END IF;
END
$$;
"""


def upgrade() -> None:
    op.create_table(
        "notification_audit",
        sa.Column("id", sa.BigInteger(), autoincrement=True),
        sa.Column("remediation_id", sa.String(255), nullable=False),
        sa.Column("notification_id", sa.String(255), nullable=False),
        sa.Column("recipient", sa.String(255), nullable=False),
        sa.Column("channel", sa.String(50), nullable=False),
        sa.Column("message_summary", sa.Text(), nullable=False),
        sa.Column("status", sa.String(50), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivery_status", sa.Text()),
        sa.Column("error_message", sa.Text()),
        sa.Column("escalation_level", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_notification_audit"),
        sa.UniqueConstraint("notification_id", name="uq_notification_audit_notification_id"),
        sa.CheckConstraint(CHANNELS, name=op.f("ck_notification_audit_channel")),
        sa.CheckConstraint(STATUSES, name=op.f("ck_notification_audit_status")),
    )
    for name, column in INDEXES.items():
        op.create_index(name, "notification_audit", [sa.text(column)])
    op.execute(CHANGE_TRIGGERS)
    op.execute(GRANTS)


def downgrade() -> None:
    op.drop_table("notification_audit")
