"""The ledger in PostgreSQL, for those who write it: one public method is one transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, func, insert, select, update

from datastorage.audit import outbox
from datastorage.ledger import appending
from datastorage.ledger.checkpoint import Checkpoint
from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.key_files import LedgerKeys
from datastorage.ledger.leaf import Kind, Leaf, correlation_tag, leaf_of
from datastorage.ledger.note import Note
from datastorage.ledger.statements import Type, changes_of_keys, statement_of, type_of, vkeys_in_use
from datastorage.ledger.tables import ledger_checkpoints, ledger_statements
from datastorage.platform.clock import Clock, utc_now
from datastorage.platform.db.database import Database

SEAL_TIMEOUT: Final = timedelta(seconds=30)
LOCK_TIMEOUT: Final = timedelta(seconds=2)
MOST_COUNTED: Final = 100_000
_LOCK: Final = "datastorage.ledger"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one round did.

    Attributes:
        size: of the tree now.
        leaves: how many it got.
        missing: ids of rows that wait on, because no event is found or a statement is none.
        is_full: whether as many rows waited as were looked at.
        lags: seconds from the acceptance of each event to its leaf.
    """

    size: int
    leaves: int
    missing: tuple[int, ...] = ()
    is_full: bool = False
    lags: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """What has no leaf yet.

    Attributes:
        rows: how many, counted up to ``MOST_COUNTED``.
        first: the id of the oldest, if there is one.
        seconds: since the oldest of their events was accepted.
    """

    rows: int
    first: int | None
    seconds: float | None


class _Due(NamedTuple):
    """What gets a leaf now; ``outbox_id`` is ``None`` for what never waited."""

    leaf: Leaf
    outbox_id: int | None
    event_date: date | None = None
    received_at: datetime | None = None
    statement: str | None = None


class LedgerStore:
    """Gives what waits its leaves (ledger.md 4).

    Args:
        database: where the events and the ledger are.
        clock: when statements are made.
    """

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def seal(
        self,
        limit: int,
        skipped: Collection[int] = (),
        keys: LedgerKeys | None = None,
        previous: Checkpoint | None = None,
    ) -> Sealed | None:
        """Append the leaves of up to ``limit`` rows that wait, the oldest first; ``None`` when another seals.

        Two can never append the same leaf: one lock, and the keys of leaves and of checkpoints.

        Args:
            limit: rows that are looked at.
            skipped: ids of rows that are not, because their events were missing a moment ago.
            keys: those that sign from now on: statements about them come before all that waits.
            previous: the newest published checkpoint of another origin; the newest signed one when absent.

        Raises:
            DatabaseError: nothing was appended, unless the connection was lost during the commit.
        """

        def work(connection: Connection) -> Sealed | None:
            if not connection.execute(select(func.pg_try_advisory_xact_lock(seal_lock()))).scalar_one():
                return None
            first = [] if keys is None else _changes_of_keys(connection, keys, previous, self._clock())
            return _seal(connection, first, limit, skipped)

        return self._database.write(work, timeout=SEAL_TIMEOUT, lock_timeout=LOCK_TIMEOUT)

    def sign(self, keys: LedgerKeys) -> Checkpoint | None:
        """Sign the newest checkpoint, which was committed before, unless it is; return what was signed."""

        def work(connection: Connection) -> Checkpoint | None:
            newest = _newest(connection)
            if newest is None or newest.note is not None:
                return None
            checkpoint = Checkpoint(keys.origin, newest.tree_size, newest.root)
            columns = ledger_checkpoints.c
            here = (columns.tree_size == newest.tree_size, columns.note.is_(None))
            note = str(checkpoint.signed(keys.signing))
            connection.execute(update(ledger_checkpoints).where(*here).values(note=note))
            return checkpoint

        return self._database.write(work, timeout=SEAL_TIMEOUT, lock_timeout=LOCK_TIMEOUT)

    def waiting(self) -> Waiting:
        """Return how much waits for a leaf."""
        row = self._database.read(lambda connection: connection.execute(outbox.levels(MOST_COUNTED)).one())
        rows, first, seconds = row
        return Waiting(rows, first, None if seconds is None else float(seconds))

    def ensure_partition(self, number: int) -> None:
        """Create a partition of leaves unless it is there."""
        statement = select(func.ensure_ledger_partition(number))
        self._database.write(lambda connection: connection.execute(statement).one())

    def pause(self) -> bool:
        """State that events get no leaves from now on, unless that is stated; return whether it was not."""

        def work(connection: Connection) -> bool:
            # Two workers start at the same time.
            connection.execute(select(func.pg_advisory_xact_lock(seal_lock())))
            if newest_turn(connection) is Type.PAUSE:
                return False
            connection.execute(outbox.put(*statement_of(Type.PAUSE, self._clock(), {})))
            return True

        return self._database.write(work, lock_timeout=LOCK_TIMEOUT)


def newest_turn(connection: Connection) -> Type | None:
    """Return the newest of ``backfill`` and ``pause``, those that wait included."""
    turns = (Type.BACKFILL, Type.PAUSE)
    waiting = [_type_or_none(each) for each in connection.scalars(outbox.waiting_statements())]
    columns = ledger_statements.c
    newest = select(columns.type).where(columns.type.in_(turns)).order_by(columns.leaf_index.desc()).limit(1)
    found = [each for each in waiting if each in turns] or connection.scalars(newest).all()
    return Type(found[-1]) if found else None


def seal_lock() -> Any:
    """Return the number of the advisory lock that whoever seals or publishes holds."""
    return func.hashtextextended(_LOCK, 0)


def _seal(connection: Connection, first: list[_Due], limit: int, skipped: Collection[int]) -> Sealed:
    newest = _newest(connection)
    size = 0 if newest is None else newest.tree_size
    rows = connection.execute(outbox.waiting(limit, skipped)).all()
    found = {row.id: due for row in rows if (due := _due(row)) is not None}
    everything = [*first, *found.values()]
    lags: tuple[float, ...] = ()
    if everything:
        sealed_at = _append(connection, size, everything)
        lags = tuple(
            (sealed_at - each.received_at).total_seconds()
            for each in everything
            if each.received_at is not None
        )
    missing = tuple(row.id for row in rows if row.id not in found)
    return Sealed(size + len(everything), len(everything), missing, is_full=len(rows) == limit, lags=lags)


def _newest(connection: Connection) -> Row[int, bytes, str | None] | None:
    columns = ledger_checkpoints.c
    newest = select(columns.tree_size, columns.root, columns.note).order_by(columns.tree_size.desc()).limit(1)
    return connection.execute(newest).one_or_none()


def _changes_of_keys(
    connection: Connection, keys: LedgerKeys, previous: Checkpoint | None, at: datetime
) -> list[_Due]:
    """Return the statements about keys that begin or cease to sign."""
    columns = ledger_statements.c
    recorded = select(columns.statement).where(columns.type == Type.KEY).order_by(columns.leaf_index)
    in_use = vkeys_in_use(connection.scalars(recorded))
    signed = ledger_checkpoints.c
    notes = select(signed.note).where(signed.note.is_not(None)).order_by(signed.tree_size.desc()).limit(1)
    note = connection.execute(notes).scalar_one_or_none()
    newest = previous or (None if note is None else Checkpoint.of(Note.of(note.encode()).text))
    changes = changes_of_keys(in_use, keys.verifying, newest, at)
    return [_Due(leaf_of(text.encode()), None, statement=text) for _, text in changes]


def _due(row: Sequence[Any]) -> _Due | None:
    """Return what a waiting row stands for, ``None`` if its event is not found or its statement is none."""
    outbox_id, event_id, event_date, statement, correlation_id, received_at, digest = row
    if statement is not None:
        of_statement = _leaf_of_statement(statement)
        return None if of_statement is None else _Due(of_statement, outbox_id, statement=statement)
    if digest is None:
        return None
    leaf = Leaf(Kind.EVENT, event_id, correlation_tag(correlation_id), digest)
    return _Due(leaf, outbox_id, event_date, received_at)


def _leaf_of_statement(statement: str) -> Leaf | None:
    # Whoever has the service's role may have put anything here; it must not hold up all others.
    try:
        type_of(statement)
        return leaf_of(statement.encode())
    except (MalformedEvidence, msgspec.DecodeError):
        return None


def _type_or_none(statement: str) -> str | None:
    try:
        return type_of(statement)
    except msgspec.DecodeError:
        return None


def _append(connection: Connection, size: int, due: Collection[_Due]) -> datetime:
    """Append leaves, and return when."""
    leaves = [each.leaf.encoded() for each in due]
    growth = appending.grown(connection, size, leaves)
    appending.insert_entries(connection, size, leaves, [each.event_date for each in due])
    statements: list[dict[str, Any]] = [
        {
            "leaf_index": index,
            "statement_id": each.leaf.id,
            "type": type_of(each.statement),
            "statement": each.statement,
        }
        for index, each in enumerate(due, size)
        if each.statement is not None
    ]
    if statements:
        connection.execute(insert(ledger_statements), statements)
    connection.execute(outbox.taken([each.outbox_id for each in due if each.outbox_id is not None]))
    checkpoint = {"tree_size": growth.size, "root": growth.root(), "sealed_at": func.clock_timestamp()}
    sealing = insert(ledger_checkpoints).values(checkpoint).returning(ledger_checkpoints.c.sealed_at)
    sealed_at: datetime = connection.execute(sealing).scalar_one()
    return sealed_at
