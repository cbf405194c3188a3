"""The tables of audit events; triggers, rights and settings of storage are in the migrations.

``audit_events`` has one row per event, one partition per month, and never changes (BR-STORAGE-016). Its
columns are the members of ``AuditEvent``. There is no CHECK constraint on purpose: the closed lists are
enforced by the API, so that a replay or a historical import is never blocked by a list that changed.

``audit_event_ids`` has one row per event whose id came from outside. A unique key of a partitioned table has
to have the date in it, so it cannot keep one id from two dates; this one does.

``audit_unsealed`` has a row for each event, and for each statement of the ledger, that waits for its leaf.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    ForeignKeyConstraint,
    Identity,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
)

from datastorage.audit.event import MEMBERS
from datastorage.platform.db.columns import metadata
from datastorage.platform.records import columns_of

audit_events = Table(
    "audit_events",
    metadata,
    *columns_of(MEMBERS),
    PrimaryKeyConstraint("event_id", "event_date"),
    ForeignKeyConstraint(
        ["parent_event_id", "parent_event_date"],
        ["audit_events.event_id", "audit_events.event_date"],
        name="fk_audit_events_parent",
        ondelete="RESTRICT",
    ),
    info={"partitioned_by": "event_date", "append_only": True},
    postgresql_partition_by="RANGE (event_date)",
)

audit_event_ids = Table(
    "audit_event_ids",
    metadata,
    Column("event_id", Uuid(), primary_key=True),
    Column("event_date", Date(), nullable=False),
)

audit_unsealed = Table(
    "audit_unsealed",
    metadata,
    Column("id", BigInteger(), Identity(always=True), primary_key=True),
    Column("event_id", Uuid(), nullable=False),
    Column("event_date", Date()),
    Column("statement", Text()),
    info={"deleted": True},
)

_columns = audit_events.c
_newest_first = _columns.event_timestamp.desc()

Index("idx_audit_events_event_timestamp", _newest_first)
Index("idx_audit_events_correlation_id", _columns.correlation_id, _newest_first)
Index("idx_audit_events_event_type", _columns.event_type, _newest_first)
Index("idx_audit_events_resource", _columns.resource_type, _columns.resource_id, _newest_first)
Index("idx_audit_events_actor", _columns.actor_type, _columns.actor_id, _newest_first)
Index("idx_audit_events_outcome", _columns.event_outcome, _newest_first)
Index("idx_audit_events_event_date", _columns.event_date)
Index(
    "idx_audit_events_event_data_gin",
    _columns.event_data,
    postgresql_using="gin",
    # kB. Every search reads the whole list of entries not yet merged; with the default of 4 MB it costs
    # more than reading a month of ten thousand events, and merging it holds up one unlucky writer.
    postgresql_with={"gin_pending_list_limit": 256},
)
# Rows arrive in this order, so a few bytes for each 32 pages find them.
Index(
    "idx_audit_events_received_at",
    _columns.received_at,
    postgresql_using="brin",
    postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
)
Index("idx_audit_events_category", _columns.event_category, _newest_first)
Index("idx_audit_events_cursor", _newest_first, _columns.event_id.desc())
Index(
    "idx_audit_events_parent_event",
    _columns.parent_event_id,
    _columns.parent_event_date,
    postgresql_where=_columns.parent_event_id.is_not(None),
)
