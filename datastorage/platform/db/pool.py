"""A pool that keeps its connections while they are needed, and few when they are not."""

import logging
from typing import TYPE_CHECKING, cast

from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from datastorage.platform.clock import monotonic_seconds

if TYPE_CHECKING:
    from sqlalchemy.util.queue import Queue

SURPLUS_SECONDS = 10.0
"""How long a connection beyond ``max_idle`` is kept after its last use."""
IDLE_SINCE = "idle_since"

# SQLAlchemy logs every step of a pool under the name of its class, which puts ours into the service's log.
logging.getLogger(f"{__name__}.SteadyPool").setLevel(logging.WARNING)


class SteadyPool(QueuePool):
    """Closes surplus connections only when they have not been used for a while.

    SQLAlchemy's pool closes a connection at once if it comes back beyond the size of the pool. With more
    readers than idle connections allowed, most requests then open a connection of their own, whose server
    process has not read about any table yet: planning a query on many partitions there costs more than the
    query itself.

    The engine makes the pool, so ``max_idle`` is set afterwards. ``IDLE_SINCE`` in ``info`` tells when a
    connection came back.
    """

    max_idle = 0
    surplus_seconds = SURPLUS_SECONDS

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
