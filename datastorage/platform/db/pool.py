"""Which connections are kept: those needed now and a few more, and none from before one of them ended."""

import logging
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, cast

from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.db.faults import Ending

if TYPE_CHECKING:
    from sqlalchemy.util.queue import Queue

logger = logging.getLogger(__name__)

IDLE_SINCE = "idle_since"
"""In the ``info`` of a connection: when it came back to the pool."""
GENERATION = "generation"
"""In the ``info`` of a connection: how many renewals there had been when it was opened."""

# SQLAlchemy logs every step of a pool under the name of its class, which puts ours into the service's log.
logging.getLogger(f"{__name__}.SteadyPool").setLevel(logging.WARNING)


class SteadyPool(QueuePool):
    """Closes surplus connections only when they have not been used for a while.

    SQLAlchemy's pool closes them as soon as they come back. With more readers than idle connections allowed,
    most requests then open a connection of their own, and its server process has yet to read the catalogue:
    planning a query on many partitions costs more than the query itself. ``max_idle`` is set by ``Engines``.
    """

    max_idle = 0
    surplus_seconds = 10.0  # after its last use

    def recreate(self) -> "SteadyPool":
        """Return an empty pool like this one; SQLAlchemy asks for it when an engine is disposed of."""
        fresh = cast("SteadyPool", super().recreate())
        fresh.max_idle = self.max_idle
        return fresh

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        surplus = self._take_surplus()
        if surplus is not None:
            try:
                surplus.close()
            finally:
                self._dec_overflow()

    def _take_surplus(self) -> ConnectionPoolEntry | None:
        waiting = cast("Queue[ConnectionPoolEntry]", self._pool)
        with waiting.mutex:
            idle = waiting.queue
            if len(idle) <= self.max_idle:
                return None
            # Last in, first out: the first one has not been needed for longest.
            unused_seconds = monotonic_seconds() - idle[0].info.get(IDLE_SINCE, 0.0)
            return idle.popleft() if unused_seconds > self.surplus_seconds else None


class Renewals:
    """Counts how often a process gave up its connections, and tells ``on_renewal`` the reason.

    A restarted server, a reloaded pooler, a demoted primary: what ended one connection has ended the others
    too, and each would fail a request before it was replaced.
    """

    def __init__(self, on_renewal: Callable[[Ending], object]) -> None:
        self._on_renewal = on_renewal
        self._lock = Lock()
        self.generation = 0

    def renew(self, generation: int, reason: Ending) -> None:
        """Give up every connection opened so far, unless the ended one of ``generation`` was already."""
        with self._lock:
            if generation != self.generation:
                return
            self.generation += 1
        self._on_renewal(reason)
        logger.info("Database connections renewed", extra={"reason": reason})
