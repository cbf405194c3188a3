"""One pool of connections per process, and the two ways to use it: ``read`` and ``write``.

Work is a function of a ``Connection``, and ``read`` or ``write`` runs it as one transaction. So it can run
again after a deadlock, or once on a new connection when its own has ended. Every fault is raised as a
``DatabaseError``. A request that finds no free connection waits (BR-STORAGE-027), and is refused only when
the wait takes longer than it may.
"""

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import psycopg
import sqlalchemy.exc
from sqlalchemy import Connection, Engine

from datastorage.errors import DatabaseError, DatabaseUnsuitable
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.db import faults
from datastorage.platform.db.engine import HEALTH_CONNECT_TIMEOUT, Engines
from datastorage.platform.db.pool import GENERATION, Renewals, SteadyPool
from datastorage.platform.db.rendered import IS_WATCHED, Rendered, driver_of
from datastorage.platform.db.retries import READ_PAUSES, SHORT_PAUSES, Retries, with_retries
from datastorage.platform.db.slots import Slots
from datastorage.platform.db.transactions import Access, LocalSettings, begin
from datastorage.platform.db.watchdog import Watchdog
from datastorage.platform.metrics import Metrics
from datastorage.settings import DatabaseSettings

WATCHDOG_GRACE_SECONDS = 0.5
"""By so much the watchdog lets the server's own timeouts go first."""

T = TypeVar("T")
Work = Callable[[Connection], T]


class Database:
    """Transactions on PostgreSQL, as many at once as the process's share of ``max_open_conns``.

    What fails raises a ``DatabaseError``, classified by ``faults``.

    Args:
        settings: the ``database`` group.
        share: connections this process may open (``max_open_conns // workers``).
        reads: how many of them reads may hold, all when absent.
        metrics: pool gauges, wait times and error counts.
        application_name: what ``pg_stat_activity`` shows.
        is_of_requests: whether the metrics show its pool, its repeats and renewals; of background work beside
            the requests they show the errors alone.
    """

    def __init__(  # noqa: PLR0913 - one argument for each part of it
        self,
        settings: DatabaseSettings,
        *,
        share: int,
        reads: int | None = None,
        metrics: Metrics,
        application_name: str = "datastorage",
        is_of_requests: bool = True,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        # QueuePool has one timeout for all requests; audit writes may wait less than reads.
        self._slots = Slots(share, share if reads is None else reads)
        self._watchdog = Watchdog()
        self._renewals = Renewals(self._note_renewal)
        engines = Engines(settings, application_name, self._watchdog, self._renewals)
        self._engine = engines.pooled(share)
        self._pool = cast("SteadyPool", self._engine.pool)
        self._engine_outside_pool = engines.unpooled(HEALTH_CONNECT_TIMEOUT)
        self._is_of_requests = is_of_requests
        if is_of_requests:
            self._metrics.db_connections_max.set(share)
        self._on_wait: Callable[[float], None] | None = None

    def watch(self, listen: Callable[[Engine], None], on_wait: Callable[[float], None]) -> None:
        """Let a tracer listen to statements and hear how many seconds each wait for a connection took."""
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
            work: reads through the connection it is given; may run more than once.
            timeout: statement timeout, ``database.statement_timeout`` when absent.
            custom_plan: plan with the actual parameters every time. jsonb containment needs it: the
                generic plan PostgreSQL may choose after five executions reads the ordered index instead.
            parallel_workers: the most for one step of a plan, the server's setting when absent.
        """
        local = LocalSettings(timeout, None, custom_plan, parallel_workers)
        # A page and its count are two statements, each with the whole timeout.
        limit = 2 * (timeout or self._settings.statement_timeout)

        def attempt() -> T:
            with self._transaction(Access.READ, local, self._settings.pool_timeout, limit) as connection:
                return work(connection)

        return self._run(attempt, READ_PAUSES, limit)

    def query(self, statement: Rendered, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        """Return the rows of one statement that only reads, without a transaction around it.

        Each connection plans it once, without regard to its values: not for statements whose best plan
        depends on them.
        """
        wait, limit = self._settings.pool_timeout, self._settings.statement_timeout

        def attempt() -> Sequence[tuple[Any, ...]]:
            with self._connection(wait, limit) as connection:
                return statement.rows(connection, parameters)

        return self._run(attempt, READ_PAUSES, limit)

    def write(
        self,
        work: Work[T],
        *,
        timeout: timedelta | None = None,
        lock_timeout: timedelta | None = None,
        pool_wait: timedelta | None = None,
        retries: Retries = SHORT_PAUSES,
    ) -> T:
        """Run ``work`` in one transaction, commit, and return what it returns.

        Args:
            work: writes through the connection it is given; may run more than once.
            timeout: time for the database part, waiting for a connection included unless ``pool_wait``.
            lock_timeout: longest wait for a lock.
            pool_wait: longest wait for a connection, at most ``database.pool_timeout``.
            retries: when ``work`` may run again.

        Raises:
            DatabaseError: nothing was committed, unless the connection was lost during the commit: writes
                that must not happen twice carry their own key.
        """
        pool_timeout = self._settings.pool_timeout
        wait = min(pool_wait or timeout or pool_timeout, pool_timeout)
        limit = timeout or self._settings.statement_timeout
        local = LocalSettings(timeout, lock_timeout)
        is_committing = False

        def attempt() -> T:
            nonlocal is_committing
            with self._transaction(Access.WRITE, local, wait, limit) as connection:
                done = work(connection)
                is_committing = True
                return done

        return self._run(attempt, retries, limit, lambda: retries.after_commit or not is_committing)

    def connect_outside_pool(self) -> Connection:
        """Open a separate connection for a health check, which an exhausted pool must not fail.

        Raises:
            SQLAlchemyError: the database does not answer.
            DatabaseUnsuitable: the service would not work in it.
        """
        return self._engine_outside_pool.connect()

    def is_current(self, connection: Connection) -> bool:
        """Tell whether a connection outside the pool may be used again, as far as others have shown."""
        return bool(connection.info[GENERATION] == self._renewals.generation)

    def close(self) -> None:
        """Close every idle connection; those in use close when they come back."""
        self._watchdog.close()
        self._engine.dispose()

    def _run(
        self,
        attempt: Callable[[], T],
        retries: Retries,
        limit: timedelta,
        may_repeat: Callable[[], bool] = lambda: True,
    ) -> T:
        """Run a transaction as often as it may; once more at once if its connection ended in time."""
        deadline = monotonic_seconds() + limit.total_seconds()

        def attempt_twice() -> T:
            try:
                return attempt()
            except DatabaseError as error:
                if not error.ended_connection or not may_repeat() or monotonic_seconds() > deadline:
                    raise
            outcome = "failure"
            try:
                done = attempt()
                outcome = "success"
            finally:
                if self._is_of_requests:
                    self._metrics.db_repeats.labels(outcome).inc()
            return done

        return with_retries(attempt_twice, retries.pauses)

    @contextmanager
    def _transaction(
        self, access: Access, local: LocalSettings, wait: timedelta, limit: timedelta
    ) -> Iterator[Connection]:
        with self._connection(wait, limit) as connection, connection.begin(), self._translating(connection):
            begin(driver_of(connection), access, local)
            yield connection

    @contextmanager
    def _connection(self, wait: timedelta, limit: timedelta) -> Iterator[Connection]:
        """Lend a connection, and cut it if the server does not keep the time limit it was given."""
        started = monotonic_seconds()
        slot = self._slots.take(wait.total_seconds())
        if not slot:
            self._metrics.db_pool_timeouts.inc()
            self._note_wait(monotonic_seconds() - started)
            raise self._counted(faults.pool_exhausted())
        seconds = limit.total_seconds() + WATCHDOG_GRACE_SECONDS
        try:
            with self._connect() as connection:
                self._note_wait(monotonic_seconds() - started)
                self._set_pool_gauges()
                with self._watchdog.watching(driver_of(connection), seconds), self._translating(connection):
                    yield connection
        finally:
            self._slots.give_back(slot)
            self._set_pool_gauges()

    def _connect(self) -> Connection:
        try:
            return self._engine.connect()
        except DatabaseUnsuitable as fault:
            self._metrics.count_db_error(fault.reason)
            raise
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise self._counted(faults.translate(error)) from error

    @contextmanager
    def _translating(self, connection: Connection) -> Iterator[None]:
        """Classify faults, and close a connection that ended before SQLAlchemy rolls back on it in vain."""
        generation = connection.info[GENERATION]
        try:
            yield
        except (sqlalchemy.exc.SQLAlchemyError, psycopg.Error) as error:
            fault = self._counted(faults.translate(error))
            ending = faults.ending_of(error)
            if ending is not None:
                connection.invalidate()
                self._renewals.renew(generation, ending)
                fault.ended_connection = True
            raise fault from error

    def _counted(self, fault: DatabaseError) -> DatabaseError:
        self._metrics.count_db_error(fault.reason)
        return fault

    def _note_renewal(self, reason: str) -> None:
        if self._is_of_requests:
            self._metrics.db_connections_renewed.labels(reason).inc()

    def _note_wait(self, seconds: float) -> None:
        if not self._is_of_requests:
            return
        self._metrics.db_connection_wait_duration_seconds.observe(seconds)
        if self._on_wait is not None:
            self._on_wait(seconds)

    def _set_pool_gauges(self) -> None:
        """Ask the pool instead of counting its events: an invalidated connection skips some of them."""
        if not self._is_of_requests:
            return
        in_use, idle = self._pool.checkedout(), self._pool.checkedin()
        self._metrics.db_connections_in_use.set(in_use)
        self._metrics.db_connections_idle.set(idle)
        self._metrics.db_connections_open.set(in_use + idle)


def application_name() -> str:
    """Return ``datastorage/<pod>/<pid>``, what ``pg_stat_activity`` shows for this process."""
    return f"datastorage/{socket.gethostname()}/{os.getpid()}"[:63]
