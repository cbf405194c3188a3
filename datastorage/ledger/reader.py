"""The ledger in PostgreSQL, for those who read it: tiles, checkpoints, keys."""

from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, Select, func, select

from datastorage.audit import evidence
from datastorage.errors import NotFound
from datastorage.ledger.appending import stored_leaf
from datastorage.ledger.key_files import LedgerKeys
from datastorage.ledger.keys import VerifierKey
from datastorage.ledger.model import KeyRecord, Keys, Served, SignedCheckpoint
from datastorage.ledger.note import Note
from datastorage.ledger.refusals import Unsigned
from datastorage.ledger.state import SharedState, State
from datastorage.ledger.statements import ArchiveStatement, KeyStatement, Type
from datastorage.ledger.tables import (
    ledger_checkpoints,
    ledger_entries,
    ledger_statements,
    ledger_tiles,
)
from datastorage.ledger.tiles import ENTRIES, TILE_HEIGHT, TILE_WIDTH, Tile, bundle_of
from datastorage.ledger.tree import HASH_BYTES, leaf_hash
from datastorage.platform.db.database import Database

MOST_PUBLISHED: Final = 100
"""Published checkpoints in which a cosigned one is looked for."""
_DECODER: Final = msgspec.json.Decoder(KeyStatement)


def newest_note(connection: Connection, *, above: int = 0) -> Row[int, str] | None:
    """Return size and note of the newest signed checkpoint of more than ``above`` leaves."""
    columns = ledger_checkpoints.c
    signed = select(columns.tree_size, columns.note).where(
        columns.note.is_not(None), columns.tree_size > above
    )
    return connection.execute(signed.order_by(columns.tree_size.desc()).limit(1)).one_or_none()


def newest_cosigned(connection: Connection, *, above: int = 0) -> Row[int, str] | None:
    """Return size and note of the newest checkpoint of more than ``above`` leaves that a witness signed."""
    columns = ledger_checkpoints.c
    published = select(columns.tree_size, columns.note).where(
        columns.published_at.is_not(None), columns.tree_size > above
    )
    newest_first = published.order_by(columns.tree_size.desc()).limit(MOST_PUBLISHED)
    return next((row for row in connection.execute(newest_first) if _is_cosigned(row.note)), None)


def _is_cosigned(note: str) -> bool:
    origin = note.partition("\n")[0]
    return any(line.name != origin for line in Note.of(note.encode()).signatures)


def hashes_of_tile(connection: Connection) -> Callable[[int, int], bytes]:
    """Return what reads all hashes that a tile has, joined; each tile is read once."""
    read: dict[tuple[int, int], bytes] = {}

    def tile(level: int, number: int) -> bytes:
        key = level, number
        if key not in read:
            read[key] = _hashes(connection, level, number)
        return read[key]

    return tile


def _hashes(connection: Connection, level: int, number: int) -> bytes:
    kept = ledger_tiles.c
    stored = select(kept.hashes).where(kept.level == level, kept.n == number)
    hashes: bytes | None = connection.execute(stored).scalar_one_or_none()
    if hashes is not None:
        return hashes
    # The partial tile of level 0 is not kept.
    leaves = connection.execute(_leaves(Tile(level, number))) if level == 0 else ()
    return b"".join(leaf_hash(stored_leaf(row).encoded()) for row in leaves)


def _leaves(tile: Tile) -> Select[Any]:
    index = ledger_entries.c.leaf_index
    first = tile.number * TILE_WIDTH
    return select(ledger_entries).where(index.between(first, first + tile.width - 1)).order_by(index)


def tree_size(connection: Connection) -> int:
    """Return how many leaves there are."""
    size: int = connection.execute(_SIZE).scalar_one()
    return size


def archived_months(connection: Connection) -> frozenset[str]:
    """Return the months, as ``YYYY-MM``, that ``archive`` statements say have left the database."""
    columns = ledger_statements.c
    texts = connection.scalars(select(columns.statement).where(columns.type == Type.ARCHIVE))
    return frozenset(msgspec.json.decode(text, type=ArchiveStatement).month for text in texts)


_SIZE: Final = select(func.coalesce(func.max(ledger_checkpoints.c.tree_size), 0))


class LedgerReader:
    """Serves the log as C2SP ``tlog-tiles`` wants it.

    Every method raises a classified ``DatabaseError``, and ``NotFound`` where the ledger is off.

    Args:
        database: where the ledger is.
        keys: those that sign.
        state: of the ledger.
    """

    def __init__(self, database: Database, keys: LedgerKeys, state: SharedState) -> None:
        self._database = database
        self._keys = keys
        self._state = state

    def require_on(self) -> None:
        """Refuse to answer for a ledger that is off.

        Raises:
            NotFound: it is.
        """
        if self._state() is State.OFF:
            raise NotFound("the ledger is off")

    def are_proved(self, event_ids: Sequence[UUID]) -> bool:
        """Tell whether stored events have their leaves, and the newest checkpoint is signed."""

        def work(connection: Connection) -> bool:
            if connection.execute(evidence.one_waits(event_ids)).scalar_one():
                return False
            columns = ledger_checkpoints.c
            newest = select(columns.note.is_not(None)).order_by(columns.tree_size.desc()).limit(1)
            return bool(connection.execute(newest).scalar_one_or_none())

        return self._state() is not State.OFF and bool(self._keys.signing) and self._database.read(work)

    def checkpoint(self) -> SignedCheckpoint:
        """Return the newest signed checkpoint.

        Raises:
            Unsigned: there is none.
        """
        self.require_on()
        newest = self._database.read(newest_note)
        if newest is None:
            raise Unsigned("the ledger has no signed checkpoint")
        return SignedCheckpoint(newest.tree_size, newest.note)

    def tile(self, tile: Tile) -> Served:
        """Return the bytes of a tile.

        Raises:
            NotFound: the tree is not as large.
        """
        self.require_on()

        def work(connection: Connection) -> bytes:
            there = tree_size(connection) >> TILE_HEIGHT * max(tile.level, 0)
            if tile.number * TILE_WIDTH + tile.width > there:
                raise NotFound("the tree has no such tile")
            if tile.level == ENTRIES:
                rows = connection.execute(_leaves(tile))
                return bundle_of(stored_leaf(row).encoded() for row in rows)
            return _hashes(connection, tile.level, tile.number)[: tile.width * HASH_BYTES]

        return Served(self._database.read(work))

    def keys(self) -> Keys:
        """Return every key that was ever used, the oldest first."""
        self.require_on()
        columns = ledger_statements.c
        recorded = (
            select(columns.leaf_index, columns.statement)
            .where(columns.type == Type.KEY)
            .order_by(columns.leaf_index)
        )
        rows = self._database.read(lambda connection: connection.execute(recorded).all())
        records: dict[str, KeyRecord] = {}
        for leaf_index, text in rows:
            statement = _DECODER.decode(text)
            if statement.action == "add":
                records[statement.vkey] = _record(statement, leaf_index)
            elif statement.vkey in records:
                records[statement.vkey].retired_at = statement.at
                records[statement.vkey].retired_leaf = leaf_index
        found = list(records.values())
        newest = found[-1].vkey.partition("+")[0] if found else ""
        return Keys(self._keys.origin or newest, found)


def _record(statement: KeyStatement, leaf_index: int) -> KeyRecord:
    return KeyRecord(
        vkey=statement.vkey,
        algorithm="Ed25519",
        public_key_pem=VerifierKey.of(statement.vkey).pem,
        added_at=statement.at,
        added_leaf=leaf_index,
        retired_at=None,
        retired_leaf=None,
    )
