"""The ledger in PostgreSQL: one public method is one transaction."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

import msgspec
from sqlalchemy import ARRAY, Connection, Insert, Row, Table, bindparam, func, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from datastorage.audit import outbox
from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.growth import Growth, edge_of
from datastorage.ledger.leaf import TAG_BYTES, Kind, Leaf, correlation_tag, leaf_of
from datastorage.ledger.tables import ledger_checkpoints, ledger_entries, ledger_statements, ledger_tiles
from datastorage.ledger.tiles import TILE_WIDTH, hashes_in
from datastorage.ledger.tree import leaf_hash
from datastorage.platform.db.database import Database

SEAL_TIMEOUT: Final = timedelta(seconds=30)
LOCK_TIMEOUT: Final = timedelta(seconds=2)
_LOCK: Final = "datastorage.ledger"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one round did.

    Attributes:
        size: of the tree now.
        leaves: how many it got.
        missing: ids of rows that wait on, because no event is found or a statement is none.
    """

    size: int
    leaves: int
    missing: tuple[int, ...]


class _Statement(msgspec.Struct):
    type: Annotated[str, msgspec.Meta(max_length=100)]
    """An index takes no longer ones."""


class LedgerStore:
    """Gives what waits its leaves (ledger.md 4).

    Args:
        database: where the events and the ledger are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def seal(self, limit: int, skipped: Collection[int] = ()) -> Sealed | None:
        """Append the leaves of up to ``limit`` rows that wait, the oldest first; ``None`` when another seals.

        Two can never append the same leaf: one lock, and the keys of leaves and of checkpoints.

        Args:
            limit: rows that are looked at.
            skipped: ids of rows that are not, because their events were missing a moment ago.

        Raises:
            DatabaseError: nothing was appended, unless the connection was lost during the commit.
        """
        return self._database.write(
            lambda connection: _seal(connection, limit, skipped),
            timeout=SEAL_TIMEOUT,
            lock_timeout=LOCK_TIMEOUT,
        )


def _seal(connection: Connection, limit: int, skipped: Collection[int]) -> Sealed | None:
    lock = func.pg_try_advisory_xact_lock(func.hashtextextended(_LOCK, 0))
    if not connection.execute(select(lock)).scalar_one():
        return None
    size = connection.execute(select(func.coalesce(func.max(ledger_checkpoints.c.tree_size), 0))).scalar_one()
    rows = connection.execute(outbox.waiting(limit, skipped)).all()
    leaves = {row: leaf for row in rows if (leaf := _leaf_of(row)) is not None}
    if leaves:
        _append(connection, size, leaves)
    missing = tuple(row.id for row in rows if row not in leaves)
    return Sealed(size + len(leaves), len(leaves), missing)


def _leaf_of(row: Row[Any]) -> Leaf | None:
    """Return the leaf of a row, ``None`` if its event is not found or its statement is none."""
    if row.statement is not None:
        return _leaf_of_statement(row.statement)
    if row.digest is None:
        return None
    return Leaf(Kind.EVENT, row.event_id, correlation_tag(row.correlation_id), row.digest)


def _leaf_of_statement(statement: str) -> Leaf | None:
    # Whoever has the service's role may have put anything here; it must not hold up all others.
    try:
        _type_of(statement)
        return leaf_of(statement.encode())
    except (MalformedEvidence, msgspec.DecodeError):
        return None


def _append(connection: Connection, size: int, leaves: Mapping[Row[Any], Leaf]) -> None:
    growth = Growth(size, _edge(connection, size))
    growth.extend(leaf_hash(leaf.encoded()) for leaf in leaves.values())
    connection.execute(_INSERT_ENTRIES, _entries(size, leaves))
    statements = [
        {
            "leaf_index": index,
            "statement_id": row.event_id,
            "type": _type_of(row.statement),
            "statement": row.statement,
        }
        for index, row in enumerate(leaves, size)
        if row.statement is not None
    ]
    if statements:
        connection.execute(insert(ledger_statements), statements)
    tiles = [
        {"level": tile.level, "n": tile.number, "hashes": hashes}
        for tile, hashes in growth.changed_tiles()
        if tile.level > 0 or tile.width == TILE_WIDTH
    ]
    if tiles:
        connection.execute(_KEEP_TILE, tiles)
    connection.execute(outbox.taken([row.id for row in leaves]))
    checkpoint = {"tree_size": growth.size, "root": growth.root(), "sealed_at": func.clock_timestamp()}
    connection.execute(insert(ledger_checkpoints).values(checkpoint))


def _edge(connection: Connection, size: int) -> dict[int, list[bytes]]:
    """Return the hashes of each partial tile; of level 0 from the leaves, of the others as they are kept."""
    partial = {tile.level: tile for tile in edge_of(size)}
    columns, kept = ledger_entries.c, ledger_tiles.c
    first = size - size % TILE_WIDTH
    leaves = select(columns.kind, columns.event_id, columns.correlation_tag, columns.digest)
    newest = leaves.where(columns.leaf_index >= first).order_by(columns.leaf_index)
    edge = {0: [leaf_hash(_stored_leaf(row).encoded()) for row in connection.execute(newest)]}
    upper = [tile for level, tile in partial.items() if level > 0]
    if upper:
        places = or_(*((kept.level == tile.level) & (kept.n == tile.number) for tile in upper))
        for level, hashes in connection.execute(select(kept.level, kept.hashes).where(places)):
            edge[level] = hashes_in(hashes)
    return edge


def _stored_leaf(row: Row[Any, Any, Any, Any]) -> Leaf:
    tag = row.correlation_tag.to_bytes(TAG_BYTES, signed=True)
    return Leaf(row.kind, row.event_id, tag, row.digest)


def _entries(size: int, leaves: Mapping[Row[Any], Leaf]) -> dict[str, list[Any]]:
    """Return the values of each column of the new entries."""
    return {
        "leaf_index": list(range(size, size + len(leaves))),
        "correlation_tag": [int.from_bytes(leaf.correlation_tag, signed=True) for leaf in leaves.values()],
        "event_id": [leaf.id for leaf in leaves.values()],
        "event_date": [row.event_date for row in leaves],
        "kind": [int(leaf.kind) for leaf in leaves.values()],
        "digest": [leaf.digest for leaf in leaves.values()],
    }


def _type_of(statement: str) -> str:
    return msgspec.json.decode(statement, type=_Statement).type


def _insert_arrays(table: Table) -> Insert:
    """INSERT INTO table (a, b, …) SELECT … FROM unnest(:a, :b, …), the arrays named like the columns."""
    arrays = [bindparam(each.name, type_=ARRAY(each.type)) for each in table.c]
    rows = func.unnest(*arrays).table_valued(*(each.name for each in table.c)).render_derived()
    return insert(table).from_select(table.c.keys(), select(*rows.c))


_INSERT_ENTRIES: Final = _insert_arrays(ledger_entries)
_TILE = upsert(ledger_tiles)
_KEEP_TILE: Final = _TILE.on_conflict_do_update(
    index_elements=[ledger_tiles.c.level, ledger_tiles.c.n], set_={"hashes": _TILE.excluded.hashes}
)
