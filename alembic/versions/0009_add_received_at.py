"""Add audit_events.received_at, when the service accepted an event, without touching a row.

The release before does not know the column: its rows get the default. Older rows are NULL until the next
revision fills them; the CHECK, which looks at new rows only, is what that revision proves NOT NULL with.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
loses = ("audit_events",)


def upgrade() -> None:
    # In this order: a column that comes with a volatile default rewrites every row.
    op.add_column("audit_events", sa.Column("received_at", sa.DateTime(timezone=True)))
    op.alter_column("audit_events", "received_at", server_default=sa.func.clock_timestamp())
    op.execute(
        "ALTER TABLE audit_events ADD CONSTRAINT ck_audit_events_received_at"
        " CHECK (received_at IS NOT NULL) NOT VALID"
    )


def downgrade() -> None:
    op.drop_column("audit_events", "received_at")
