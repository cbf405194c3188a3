"""How leaves come to stand in the tables, and how the tree in the tables grows by them."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    Integer,
    LargeBinary,
    Row,
    Uuid,
    bindparam,
    cast,
    func,
    insert,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import BIT, TEXT
from sqlalchemy.dialects.postgresql import insert as upsert

from datastorage.ledger.growth import Growth, edge_of
from datastorage.ledger.leaf import LEAF_BYTES, TAG_BYTES, Leaf
from datastorage.ledger.tables import ledger_entries, ledger_tiles
from datastorage.ledger.tiles import TILE_WIDTH, hashes_in
from datastorage.ledger.tree import leaf_hash


def grown(connection: Connection, size: int, leaves: Sequence[bytes]) -> Growth:
    """Let the tree of ``size`` leaves grow, and keep the tiles that change."""
    growth = Growth(size, _edge(connection, size))
    growth.extend(map(leaf_hash, leaves))
    tiles = [
        {"level": tile.level, "n": tile.number, "hashes": hashes}
        for tile, hashes in growth.changed_tiles()
        if tile.level > 0 or tile.width == TILE_WIDTH
    ]
    if tiles:
        connection.execute(_KEEP_TILE, tiles)
    return growth


def insert_entries(
    connection: Connection, size: int, leaves: Sequence[bytes], dates: Sequence[date | None]
) -> None:
    """Insert the leaves behind the first ``size``; ``dates`` are those of their events."""
    values = {"size": size, "leaves": b"".join(leaves), "dates": list(dates)}
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


def _insert_entries() -> Insert:
    """Take leaves apart in PostgreSQL: to send each part as an array takes three times as long.

    INSERT INTO ledger_entries SELECT size + n - 1, …, substring(leaves, …) FROM unnest(dates) WITH ORDINALITY
    """
    columns = ledger_entries.c
    leaves = bindparam("leaves", type_=LargeBinary())
    dates = bindparam("dates", type_=ARRAY(columns.event_date.type))
    found = func.unnest(dates).table_valued("event_date", with_ordinality="n", name="found").render_derived()
    place = cast(found.c.n, Integer) - 1

    def part(start: int, width: int) -> ColumnElement[bytes]:
        return func.substring(leaves, place * LEAF_BYTES + start + 1, width)

    hexadecimal = literal_column("'hex'", TEXT())
    tag = literal_column("'x'", TEXT()).concat(func.encode(part(17, TAG_BYTES), hexadecimal))
    parts: dict[ColumnElement[Any], ColumnElement[Any]] = {
        columns.leaf_index: bindparam("size", type_=BigInteger()) + place,
        columns.correlation_tag: cast(cast(tag, BIT(64)), BigInteger()),
        columns.event_id: cast(func.encode(part(1, 16), hexadecimal), Uuid()),
        columns.event_date: found.c.event_date,
        columns.kind: func.get_byte(leaves, place * LEAF_BYTES),
        columns.digest: part(25, 32),
    }
    return insert(ledger_entries).from_select([each.name for each in parts], select(*parts.values()))


_INSERT_ENTRIES: Final = _insert_entries()
_TILE = upsert(ledger_tiles)
_KEEP_TILE: Final = _TILE.on_conflict_do_update(
    index_elements=[ledger_tiles.c.level, ledger_tiles.c.n], set_={"hashes": _TILE.excluded.hashes}
)
