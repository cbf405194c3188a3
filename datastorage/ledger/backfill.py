"""Backfill: events that were stored outside the ledger are put where events wait for their leaves (3.4)."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Row, SelectBase, func, literal, select

from datastorage.audit import evidence, outbox
from datastorage.ledger.statements import Type, statement_of
from datastorage.ledger.store import LedgerStore
from datastorage.ledger.tables import ledger_checkpoints, ledger_entries
from datastorage.partitions.plan import Month
from datastorage.platform.clock import Clock, monotonic_seconds
from datastorage.platform.db.database import Database

MOST_WAITING: Final = 4096
"""So that new events are not delayed, no more are put where so many wait."""
STEP_EVENTS: Final = 1024
POLL_SECONDS: Final = 0.1
LOCK: Final = "datastorage.backfill"

Key = tuple[UUID, date]
_FIRST: Final = UUID(int=0)


class BackfillRunsError(RuntimeError):
    """Another one is under way."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What a backfill did.

    Attributes:
        months: those that it looked at, as ``YYYY-MM``.
        rows: events that get leaves by it.
        first_leaf, last_leaf: between which they lie; ``None`` without any.
    """

    months: tuple[str, ...]
    rows: int
    first_leaf: int | None = None
    last_leaf: int | None = None


class Backfill:
    """Gives leaves to events that have none, oldest month first.

    Args:
        database: where the events are; needs two connections.
        store: seals, when nobody else does.
        clock: when the statement is made.
        seals: rows of one round of sealing.
    """

    def __init__(self, database: Database, store: LedgerStore, clock: Clock, *, seals: int) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._seals = seals

    def count(self, months: Sequence[Month]) -> int:
        """Return how many events have neither a leaf nor wait for one."""
        return sum(self._count(month) for month in months)

    def _count(self, month: Month) -> int:
        leaves, days = ledger_entries.c, (month.first_day, month.next().first_day)
        of_month = (leaves.event_date >= days[0], leaves.event_date < days[1])
        sealed = select(leaves.event_id, leaves.event_date).where(*of_month)
        outside = evidence.keys_of_days(*days).except_(sealed, evidence.waiting_keys()).subquery()
        found = select(func.count()).select_from(outside)
        return int(self._database.read(lambda connection: connection.execute(found).scalar_one()))

    def run(
        self, months: Sequence[Month], *, rate: int | None, is_whole: bool, on_step: Callable[[int], None]
    ) -> Filled:
        """Put every event of ``months`` that has no leaf where events wait, and see them sealed.

        Args:
            months: the oldest first.
            rate: events a second at most.
            is_whole: whether these are all months, which is stated at the end.
            on_step: told how many events each step has put.

        Raises:
            DatabaseError: what was put is sealed later; another run goes on.
        """
        first_leaf, rows = self._size(), 0
        for month in months:
            for put in self._steps(month, rate):
                rows += put
                on_step(put)
        self._see_sealed()
        names = tuple(f"{month.first_day:%Y-%m}" for month in months)
        filled = Filled(names, rows, first_leaf, self._size() - 1) if rows else Filled(names, 0)
        if is_whole:
            self._state(filled)
        return filled

    def _steps(self, month: Month, rate: int | None) -> Iterator[int]:
        after: Key = (_FIRST, date.min)
        while True:
            began = monotonic_seconds()
            self._wait_for_room()
            page = self._put(month, after)
            if page is None:
                return
            after = page.last
            yield page.put
            if rate is not None:
                time.sleep(max(0.0, page.put / rate - (monotonic_seconds() - began)))

    def _put(self, month: Month, after: Key) -> "_Page | None":
        return self._database.write(lambda connection: _put(connection, month, after))

    def _wait_for_room(self) -> None:
        while self._store.waiting().rows >= MOST_WAITING:
            self._seal_or_pause()

    def _see_sealed(self) -> None:
        """Wait until what waits now has its leaves; what cannot be sealed is left behind."""
        last: int | None = self._database.read(
            lambda connection: connection.execute(outbox.last()).scalar_one_or_none()
        )
        while last is not None and (first := self._store.waiting().first) is not None and first <= last:
            if self._seal_or_pause() == 0:
                return

    def _seal_or_pause(self) -> int | None:
        """Seal a round; return its leaves, or ``None`` after a pause when somebody else seals."""
        sealed = self._store.seal(self._seals)
        if sealed is None:
            time.sleep(POLL_SECONDS)
            return None
        return sealed.leaves

    def _size(self) -> int:
        newest = select(func.coalesce(func.max(ledger_checkpoints.c.tree_size), 0))
        return int(self._database.read(lambda connection: connection.execute(newest).scalar_one()))

    def _state(self, filled: Filled) -> None:
        members: dict[str, Any] = {
            "months": filled.months,
            "rows": filled.rows,
            "first_leaf": filled.first_leaf,
            "last_leaf": filled.last_leaf,
        }
        statement = statement_of(Type.BACKFILL, self._clock(), members)
        self._database.write(lambda connection: connection.execute(outbox.put(*statement)))
        self._see_sealed()


@dataclass(frozen=True, slots=True)
class _Page:
    """How many events of a page were put where events wait, and where it ended."""

    put: int
    last: Key


def _put(connection: Connection, month: Month, after: Key) -> _Page | None:
    """Put the events of the next page that have no leaf where events wait; ``None`` behind the last."""
    days = month.first_day, month.next().first_day
    page = connection.execute(evidence.page_of_days(*days, after, STEP_EVENTS)).all()
    if not page:
        return None
    put = connection.execute(outbox.put_events(_unsealed(page))).all()
    return _Page(len(put), (page[-1].event_id, page[-1].event_date))


def _unsealed(page: Sequence[Row[Any]]) -> SelectBase:
    """Select the keys of ``page`` that neither have a leaf nor wait for one.

    SELECT … FROM unnest(…) EXCEPT SELECT … FROM ledger_entries WHERE correlation_tag = ANY (…) EXCEPT …

    Leaves are found by their tags. All leaves of a tag are read once, however many events of it there are.
    """
    leaves = ledger_entries.c
    ids = literal([row.event_id for row in page], ARRAY(leaves.event_id.type))
    dates = literal([row.event_date for row in page], ARRAY(leaves.event_date.type))
    tags = literal(list({row.correlation_tag for row in page}), ARRAY(leaves.correlation_tag.type))
    keys = func.unnest(ids, dates).table_valued("event_id", "event_date", name="page").render_derived()
    sealed = select(leaves.event_id, leaves.event_date).where(leaves.correlation_tag == func.any(tags))
    return select(keys.c.event_id, keys.c.event_date).except_(sealed, evidence.waiting_keys())
