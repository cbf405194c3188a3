"""The tables of the ledger; triggers, rights, partitions and settings of storage are in the migrations.

``ledger_entries`` has a row for each leaf, the parts of its 57 bytes and the date under which its event is
found, in partitions of 2^24 leaves. No foreign key leads to the events: a month leaves, its leaves stay.
``ledger_tiles`` has the tiles but the partial one of level 0, which is hashed from its at most 255 leaves:
keeping it would write up to 8 KiB for each leaf of a slow trickle.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from datastorage.platform.db.columns import TIMESTAMPTZ, metadata

LEAVES_PER_PARTITION: Final = 1 << 24

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("leaf_index", BigInteger(), primary_key=True, autoincrement=False),
    Column("correlation_tag", BigInteger(), nullable=False),
    Column("event_id", Uuid(), nullable=False),
    Column("event_date", Date()),
    Column("kind", SmallInteger(), nullable=False),
    Column("digest", LargeBinary(), nullable=False),
    info={"append_only": True},
    postgresql_partition_by="RANGE (leaf_index)",
)
Index("idx_ledger_entries_tag", ledger_entries.c.correlation_tag, ledger_entries.c.leaf_index)
Index("idx_ledger_entries_date", ledger_entries.c.event_date, postgresql_using="brin")

ledger_tiles = Table(
    "ledger_tiles",
    metadata,
    Column("level", SmallInteger(), primary_key=True, autoincrement=False),
    Column("n", BigInteger(), primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary(), nullable=False),
    info={"updated": ("hashes",)},
)

ledger_checkpoints = Table(
    "ledger_checkpoints",
    metadata,
    Column("tree_size", BigInteger(), primary_key=True, autoincrement=False),
    Column("root", LargeBinary(), nullable=False),
    Column("sealed_at", TIMESTAMPTZ, nullable=False),
    Column("published_at", TIMESTAMPTZ),
    Column("note", Text()),
    info={"updated": ("published_at", "note"), "deleted": True},
)

ledger_feed = Table(
    "ledger_feed",
    metadata,
    Column("one", Boolean(), CheckConstraint("one", name="one"), primary_key=True),
    Column("first_index", BigInteger(), nullable=False, server_default="0"),
    info={"updated": ("first_index",), "inserted": False},
)
"""One row, which the migration makes: the lowest leaf whose event is still in PostgreSQL."""

ledger_statements = Table(
    "ledger_statements",
    metadata,
    Column("leaf_index", BigInteger(), primary_key=True, autoincrement=False),
    Column("statement_id", Uuid(), nullable=False),
    Column("type", String(100), nullable=False),
    Column("statement", Text(), nullable=False),
    UniqueConstraint("statement_id"),
    info={"append_only": True},
)
Index("idx_ledger_statements_type", ledger_statements.c.type, ledger_statements.c.leaf_index)
