"""How leaves come to stand in the tables, and how the tree in the tables grows by them."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import ARRAY, Connection, Insert, Row, Table, bindparam, func, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from datastorage.ledger.growth import Growth, edge_of
from datastorage.ledger.leaf import TAG_BYTES, Leaf
from datastorage.ledger.tables import ledger_entries, ledger_tiles
from datastorage.ledger.tiles import TILE_WIDTH, hashes_in
from datastorage.ledger.tree import leaf_hash


def grown(connection: Connection, size: int, leaves: Sequence[Leaf]) -> Growth:
    """Let the tree of ``size`` leaves grow, and keep the tiles that change."""
    growth = Growth(size, _edge(connection, size))
    growth.extend(leaf_hash(leaf.encoded()) for leaf in leaves)
    tiles = [
        {"level": tile.level, "n": tile.number, "hashes": hashes}
        for tile, hashes in growth.changed_tiles()
        if tile.level > 0 or tile.width == TILE_WIDTH
    ]
    if tiles:
        connection.execute(_KEEP_TILE, tiles)
    return growth


def insert_entries(
    connection: Connection, size: int, leaves: Sequence[Leaf], dates: Sequence[date | None]
) -> None:
    """Insert the leaves behind the first ``size``; ``dates`` are those of their events."""
    values = {
        "leaf_index": list(range(size, size + len(leaves))),
        "correlation_tag": [tag_of(leaf.correlation_tag) for leaf in leaves],
        "event_id": [leaf.id for leaf in leaves],
        "event_date": list(dates),
        "kind": [int(leaf.kind) for leaf in leaves],
        "digest": [leaf.digest for leaf in leaves],
    }
    connection.execute(_INSERT_ENTRIES, values)


def tag_of(correlation_tag: bytes) -> int:
    """Return a correlation tag as it is stored."""
    return int.from_bytes(correlation_tag, signed=True)


def stored_leaf(row: Row[Any]) -> Leaf:
    """Return the leaf of a row of ``ledger_entries``."""
    tag = row.correlation_tag.to_bytes(TAG_BYTES, signed=True)
    return Leaf(row.kind, row.event_id, tag, row.digest)


def _edge(connection: Connection, size: int) -> dict[int, list[bytes]]:
    """Return the hashes of each partial tile; of level 0 from the leaves, of the others as they are kept."""
    partial = {tile.level: tile for tile in edge_of(size)}
    kept, index = ledger_tiles.c, ledger_entries.c.leaf_index
    newest = select(ledger_entries).where(index >= size - size % TILE_WIDTH).order_by(index)
    edge = {0: [leaf_hash(stored_leaf(row).encoded()) for row in connection.execute(newest)]}
    upper = [tile for level, tile in partial.items() if level > 0]
    if upper:
        places = or_(*((kept.level == tile.level) & (kept.n == tile.number) for tile in upper))
        for level, hashes in connection.execute(select(kept.level, kept.hashes).where(places)):
            edge[level] = hashes_in(hashes)
    return edge


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
