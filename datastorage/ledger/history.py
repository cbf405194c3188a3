"""What was signed and published of the tree: roots at earlier sizes, proofs between them, notes."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, Row, and_, delete, func, or_, select, update

from datastorage.ledger.note import MAX_SIGNATURES, Note, Signature
from datastorage.ledger.reader import hashes_of_tile, newest_cosigned
from datastorage.ledger.store import LOCK_TIMEOUT, seal_lock
from datastorage.ledger.tables import ledger_checkpoints
from datastorage.ledger.tiles import subtrees_in
from datastorage.ledger.tree import consistency_proof, frontier_of
from datastorage.platform.db.database import Database

_COLUMNS = ledger_checkpoints.c


class History:
    """The checkpoints of the tree.

    Every method raises a classified ``DatabaseError``.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def size(self) -> int:
        """Return the size of the tree."""
        newest = select(func.coalesce(func.max(_COLUMNS.tree_size), 0))
        return int(self._database.read(lambda connection: connection.execute(newest).scalar_one()))

    def root_at(self, size: int) -> bytes:
        """Return the root of the first ``size`` leaves, which have to be there."""

        def work(connection: Connection) -> bytes:
            return frontier_of(size, subtrees_in(hashes_of_tile(connection))).root()

        return self._database.read(work)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of ``new`` leaves continues that of ``old``."""

        def work(connection: Connection) -> list[bytes]:
            return consistency_proof(old, new, subtrees_in(hashes_of_tile(connection)))

        return self._database.read(work)

    def signed_note(self) -> str | None:
        """Return the newest signed note."""
        newest = select(_COLUMNS.note).where(_COLUMNS.note.is_not(None))
        newest = newest.order_by(_COLUMNS.tree_size.desc()).limit(1)
        return self._database.read(lambda connection: connection.execute(newest).scalar_one_or_none())

    def published_note(self) -> str | None:
        """Return the newest note that was published."""
        published = select(_COLUMNS.note).where(_COLUMNS.published_at.is_not(None))
        published = published.order_by(_COLUMNS.tree_size.desc()).limit(1)
        return self._database.read(lambda connection: connection.execute(published).scalar_one_or_none())

    def is_publication_due(self, interval: timedelta) -> bool:
        """Tell whether a signed checkpoint is newer than the last publication, and that one old enough."""
        return self._database.read(lambda connection: _due(connection, interval)) is not None

    def mark_published(self, interval: timedelta) -> str | None:
        """Mark the newest signed checkpoint and return its note, unless none is due or another pod seals."""

        def work(connection: Connection) -> str | None:
            lock = select(func.pg_try_advisory_xact_lock(seal_lock()))
            if not connection.execute(lock).scalar_one():
                return None
            due = _due(connection, interval)
            if due is None:
                return None
            here = update(ledger_checkpoints).where(_COLUMNS.tree_size == due.tree_size)
            connection.execute(here.values(published_at=func.clock_timestamp()))
            note: str = due.note
            return note

        return self._database.write(work, lock_timeout=LOCK_TIMEOUT)

    def forget_old_checkpoints(self, kept: timedelta) -> int:
        """Delete checkpoints older than ``kept``, but the last of each hour and the newest cosigned one.

        Returns:
            How many were deleted.
        """

        def work(connection: Connection) -> int:
            is_old = _COLUMNS.sealed_at < func.clock_timestamp() - kept
            hour = func.date_trunc("hour", _COLUMNS.sealed_at, "UTC")
            last_of_hours = select(func.max(_COLUMNS.tree_size)).group_by(hour)
            goes = delete(ledger_checkpoints).where(is_old, _COLUMNS.tree_size.not_in(last_of_hours))
            cosigned = newest_cosigned(connection)
            if cosigned is not None:
                goes = goes.where(_COLUMNS.tree_size != cosigned.tree_size)
            return connection.execute(goes).rowcount

        return self._database.write(work)

    def add_cosignatures(self, size: int, lines: Sequence[Signature]) -> None:
        """Add lines to the note of a checkpoint, unless they are there."""

        def work(connection: Connection) -> None:
            kept = select(_COLUMNS.note).where(_COLUMNS.tree_size == size).with_for_update()
            stored: str | None = connection.execute(kept).scalar_one_or_none()
            if stored is None:
                return
            note = Note.of(stored.encode())
            known = {(each.name, each.key_id) for each in note.signatures}
            new = [each for each in lines if (each.name, each.key_id) not in known]
            signatures = (*note.signatures, *new)[:MAX_SIGNATURES]
            changed = update(ledger_checkpoints).where(_COLUMNS.tree_size == size)
            connection.execute(changed.values(note=str(Note(note.text, signatures))))

        self._database.write(work, lock_timeout=LOCK_TIMEOUT)


def _due(connection: Connection, interval: timedelta) -> Row[int, str] | None:
    """Return size and note of the newest signed checkpoint if it is to be published now."""
    last = select(func.max(_COLUMNS.published_at)).scalar_subquery()
    is_time = or_(last.is_(None), last <= func.clock_timestamp() - interval)
    newest = select(_COLUMNS.tree_size, _COLUMNS.note, _COLUMNS.published_at)
    newest = newest.where(_COLUMNS.note.is_not(None)).order_by(_COLUMNS.tree_size.desc()).limit(1)
    found = newest.subquery()
    wanted = and_(found.c.published_at.is_(None), is_time)
    return connection.execute(select(found.c.tree_size, found.c.note).where(wanted)).one_or_none()
