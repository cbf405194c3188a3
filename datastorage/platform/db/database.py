"""One pool of connections per process, and the two ways to use it: ``read`` and ``write``.

Work is a function of a ``Connection``; calling it inside ``read`` or ``write`` makes it one
transaction, so that a deadlock victim can simply run again. Every fault leaves as a
``DatabaseError``. A request that finds no free connection waits (BR-STORAGE-027); only when the
wait exceeds its time is it refused.
"""

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, TypeVar, cast

import psycopg
import sqlalchemy.exc
from sqlalchemy import Connection, Engine

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.db import faults
from datastorage.platform.db.engine import create_engine, create_engine_outside_pool
from datastorage.platform.db.rendered import IS_WATCHED, Rendered, driver_of
from datastorage.platform.db.retries import READ_PAUSES, SHORT_PAUSES, Pauses, with_retries
from datastorage.platform.db.transactions import Access, LocalSettings, begin
from datastorage.platform.db.watchdog import Watchdog
from datastorage.platform.metrics import Metrics
from datastorage.settings import DatabaseSettings

if TYPE_CHECKING:
    from datastorage.platform.db.pool import SteadyPool

WATCHDOG_GRACE_SECONDS = 0.5
"""The server's own timeouts come first; the watchdog is for a server that does not keep them."""

T = TypeVar("T")
Work = Callable[[Connection], T]


class Database:
    """Transactions on PostgreSQL, as many at once as the process's share of ``max_open_conns``.

    Args:
        settings: the ``database`` group.
        share: connections this process may open (``max_open_conns // workers``).
        metrics: pool gauges, wait times and error counts.
        application_name: what ``pg_stat_activity`` shows.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        *,
        share: int,
        metrics: Metrics,
        application_name: str = "datastorage",
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._application_name = application_name
        # QueuePool has one timeout for everybody; audit writes may wait less than reads. The slots
        # are as many as the pool's connections, so whoever holds one never waits inside the pool.
        self._slots = BoundedSemaphore(share)
        self._watchdog = Watchdog()
        self._engine = create_engine(
            settings, share=share, application_name=application_name, watchdog=self._watchdog
        )
        self._pool = cast("SteadyPool", self._engine.pool)
        self._metrics.db_connections_max.set(share)
        self._on_wait: Callable[[float], None] | None = None

    def watch(self, listen: Callable[[Engine], None], on_wait: Callable[[float], None]) -> None:
        """Let a tracer listen to statements, and hear how many seconds each wait for a connection took."""
        listen(self._engine)
        self._engine.update_execution_options(**{IS_WATCHED: True})
        self._on_wait = on_wait

    def read(
        self,
        work: Work[T],
        *,
        timeout: timedelta | None = None,
        custom_plan: bool = False,
        parallel_workers: int | None = None,
    ) -> T:
        """Run ``work`` in one ``REPEATABLE READ READ ONLY`` transaction and return what it returns.

        Args:
            work: reads through the connection it is given; may run again after a deadlock.
            timeout: statement timeout, ``database.statement_timeout`` when absent.
            custom_plan: plan with the actual parameters every time. jsonb containment needs it: the
                generic plan PostgreSQL may choose after five executions reads the ordered index instead.
            parallel_workers: most of them for one step of a plan, the server's setting when absent.

        Raises:
            DatabaseError: classified by ``faults``.
        """
        local = LocalSettings(timeout, None, custom_plan, parallel_workers)
        # A page and its count are two statements, each with the whole timeout.
        limit = 2 * (timeout or self._settings.statement_timeout)

        def attempt() -> T:
            with self._transaction(Access.READ, local, self._settings.pool_timeout, limit) as connection:
                return work(connection)

        return with_retries(attempt, READ_PAUSES)

    def query(self, statement: Rendered, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        """Return the rows of one statement that only reads, a snapshot by itself, without a transaction.

        It is planned once on each connection, without regard to its values: not for statements whose best
        plan depends on them.

        Raises:
            DatabaseError: classified by ``faults``.
        """
        wait, limit = self._settings.pool_timeout, self._settings.statement_timeout

        def attempt() -> Sequence[tuple[Any, ...]]:
            with self._connection(wait, limit) as connection:
                return statement.rows(connection, parameters)

        return with_retries(attempt, READ_PAUSES)

    def write(
        self,
        work: Work[T],
        *,
        timeout: timedelta | None = None,
        lock_timeout: timedelta | None = None,
        pool_wait: timedelta | None = None,
        pauses: Pauses = SHORT_PAUSES,
    ) -> T:
        """Run ``work`` in one transaction, commit, and return what it returns.

        Args:
            work: writes through the connection it is given; may run again after a deadlock.
            timeout: time for the database part, waiting for a connection included unless ``pool_wait``.
            lock_timeout: longest wait for a lock.
            pool_wait: longest wait for a connection, at most ``database.pool_timeout``.
            pauses: how often a deadlock victim tries again, and how long it waits before.

        Raises:
            DatabaseError: nothing was committed, except after a connection lost at commit, whose
                outcome nobody can know: writes that must not happen twice carry their own key.
        """
        pool_timeout = self._settings.pool_timeout
        wait = min(pool_wait or timeout or pool_timeout, pool_timeout)
        limit = timeout or self._settings.statement_timeout

        local = LocalSettings(timeout, lock_timeout)

        def attempt() -> T:
            with self._transaction(Access.WRITE, local, wait, limit) as connection:
                return work(connection)

        return with_retries(attempt, pauses)

    @contextmanager
    def snapshot(self, *, custom_plan: bool = False) -> Iterator[Connection]:
        """Hold one ``REPEATABLE READ READ ONLY`` transaction open, for answers that are streamed.

        Raises:
            DatabaseError: classified by ``faults``, also while the caller is iterating.
        """
        local = LocalSettings(custom_plan=custom_plan)
        with self._transaction(Access.READ, local, self._settings.pool_timeout, limit=None) as connection:
            yield connection

    def connect_outside_pool(self) -> Connection:
        """Open a connection of its own, for health checks: an exhausted pool must not fail a probe."""
        return create_engine_outside_pool(self._settings, application_name=self._application_name).connect()

    def close(self) -> None:
        """Close every idle connection; those in use close when they come back."""
        self._watchdog.close()
        self._engine.dispose()

    @contextmanager
    def _transaction(
        self, access: Access, local: LocalSettings, wait: timedelta, limit: timedelta | None
    ) -> Iterator[Connection]:
        with self._connection(wait, limit) as connection, connection.begin():
            begin(driver_of(connection), access, local)
            yield connection

    @contextmanager
    def _connection(self, wait: timedelta, limit: timedelta | None) -> Iterator[Connection]:
        """Lend a connection, and cut it when the server does not end what it should have ended by itself."""
        started = monotonic_seconds()
        if not self._slots.acquire(timeout=wait.total_seconds()):
            self._metrics.db_pool_timeouts.inc()
            self._note_wait(monotonic_seconds() - started)
            exhausted = faults.pool_exhausted()
            self._metrics.count_db_error(exhausted.reason)
            raise exhausted
        seconds = None if limit is None else limit.total_seconds() + WATCHDOG_GRACE_SECONDS
        try:
            with self._engine.connect() as connection:
                self._note_wait(monotonic_seconds() - started)
                self._set_pool_gauges()
                with self._watchdog.watching(driver_of(connection), seconds), self._replaced(connection):
                    yield connection
        except (sqlalchemy.exc.SQLAlchemyError, psycopg.Error) as error:
            fault = faults.translate(error)
            self._metrics.count_db_error(fault.reason)
            raise fault from error
        finally:
            self._slots.release()
            self._set_pool_gauges()

    @contextmanager
    def _replaced(self, connection: Connection) -> Iterator[None]:
        """Replace what was lost while the driver was asked directly; of the rest SQLAlchemy takes care."""
        try:
            yield
        except psycopg.Error:
            if driver_of(connection).closed:
                connection.invalidate()
                self._pool.distrust()
            raise

    def _note_wait(self, seconds: float) -> None:
        self._metrics.db_connection_wait_duration_seconds.observe(seconds)
        if self._on_wait is not None:
            self._on_wait(seconds)

    def _set_pool_gauges(self) -> None:
        """Read the pool instead of counting events: an invalidated connection skips some of them."""
        pool = self._pool
        in_use, idle = pool.checkedout(), pool.checkedin()
        self._metrics.db_connections_in_use.set(in_use)
        self._metrics.db_connections_idle.set(idle)
        self._metrics.db_connections_open.set(in_use + idle)


def application_name() -> str:
    """Return ``datastorage/<pod>/<pid>``, what ``pg_stat_activity`` shows for this process."""
    return f"datastorage/{socket.gethostname()}/{os.getpid()}"[:63]
