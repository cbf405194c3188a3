"""One pool of connections per process, and the two ways to use it: ``read`` and ``write``.

Work is a function of a ``Connection``; calling it inside ``read`` or ``write`` makes it one
transaction, so that a deadlock victim can simply run again. Every fault leaves as a
``DatabaseError``. A request that finds no free connection waits (BR-STORAGE-027); only when the
wait exceeds its time is it refused.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Any, TypeVar, cast

import psycopg
import sqlalchemy.exc
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.db import faults
from datastorage.platform.db.local_settings import milliseconds, set_local
from datastorage.platform.db.pool import IDLE_SINCE, SteadyPool
from datastorage.platform.db.retries import READ_PAUSES, SHORT_PAUSES, Pauses, with_retries
from datastorage.platform.db.watchdog import HasSocket, Watchdog
from datastorage.platform.metrics import Metrics
from datastorage.settings import DatabaseSettings

TCP_USER_TIMEOUT_MS = 5000
PING_AFTER_IDLE_SECONDS = 1.0
PING_SECONDS = 2.0
HEALTH_CONNECT_SECONDS = 2
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
        self._share = share
        self._metrics = metrics
        self._application_name = application_name
        # QueuePool has one timeout for everybody; audit writes may wait less than reads. The slots
        # are as many as the pool's connections, so whoever holds one never waits inside the pool.
        self._slots = BoundedSemaphore(share)
        self._watchdog = Watchdog()
        self._engine = self._create_engine()
        self._pool = cast("SteadyPool", self._engine.pool)
        self._pool.max_idle = max(1, min(settings.max_idle_conns, share))
        self._reader = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._metrics.db_connections_max.set(share)
        self._on_wait: Callable[[float], None] | None = None

    def watch(self, listen: Callable[[Engine], None], on_wait: Callable[[float], None]) -> None:
        """Let a tracer listen to statements, and hear how many seconds each wait for a connection took."""
        listen(self._engine)
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
        # A page and its count are two statements, each with the whole timeout.
        limit = 2 * (timeout or self._settings.statement_timeout)

        def attempt() -> T:
            wait = self._settings.pool_timeout
            with self._translated(), self._transaction(self._reader, wait, limit) as connection:
                set_local(
                    connection,
                    statement_timeout=timeout,
                    custom_plan=custom_plan,
                    parallel_workers=parallel_workers,
                )
                return work(connection)

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

        def attempt() -> T:
            with self._translated(), self._transaction(self._engine, wait, limit) as connection:
                set_local(connection, statement_timeout=timeout, lock_timeout=lock_timeout)
                return work(connection)

        return with_retries(attempt, pauses)

    @contextmanager
    def snapshot(self, *, custom_plan: bool = False) -> Iterator[Connection]:
        """Hold one ``REPEATABLE READ READ ONLY`` transaction open, for answers that are streamed.

        Raises:
            DatabaseError: classified by ``faults``, also while the caller is iterating.
        """
        wait = self._settings.pool_timeout
        with self._translated(), self._transaction(self._reader, wait, limit=None) as connection:
            set_local(connection, custom_plan=custom_plan)
            yield connection

    def connect_outside_pool(self) -> Connection:
        """Open a connection of its own, for health checks: an exhausted pool must not fail a probe."""
        engine = create_engine(
            self._settings.url,
            poolclass=NullPool,
            connect_args=self._connect_args() | {"connect_timeout": HEALTH_CONNECT_SECONDS},
            isolation_level="AUTOCOMMIT",
        )
        return engine.connect()

    def close(self) -> None:
        """Close every idle connection; those in use close when they come back."""
        self._watchdog.close()
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlalchemy.exc.SQLAlchemyError, psycopg.Error) as error:
            fault = faults.translate(error)
            self._metrics.count_db_error(fault.reason)
            raise fault from error

    @contextmanager
    def _transaction(self, engine: Engine, wait: timedelta, limit: timedelta | None) -> Iterator[Connection]:
        started = monotonic_seconds()
        if not self._slots.acquire(timeout=wait.total_seconds()):
            self._metrics.db_pool_timeouts.inc()
            self._note_wait(monotonic_seconds() - started)
            fault = faults.pool_exhausted()
            self._metrics.count_db_error(fault.reason)
            raise fault
        try:
            with engine.connect() as connection:
                self._note_wait(monotonic_seconds() - started)
                self._set_pool_gauges()
                with self._watched(connection, limit), connection.begin():
                    yield connection
        finally:
            self._slots.release()
            self._set_pool_gauges()

    def _note_wait(self, seconds: float) -> None:
        self._metrics.db_connection_wait_duration_seconds.observe(seconds)
        if self._on_wait is not None:
            self._on_wait(seconds)

    def _watched(self, connection: Connection, limit: timedelta | None) -> AbstractContextManager[None]:
        """Cut the connection when the server does not end what it should have ended by itself."""
        driver = connection.connection.dbapi_connection
        if limit is None or driver is None:
            return nullcontext()
        seconds = limit.total_seconds() + WATCHDOG_GRACE_SECONDS
        return self._watchdog.watching(cast("HasSocket", driver), seconds)

    def _set_pool_gauges(self) -> None:
        """Read the pool instead of counting events: an invalidated connection skips some of them."""
        pool = self._pool
        in_use, idle = pool.checkedout(), pool.checkedin()
        self._metrics.db_connections_in_use.set(in_use)
        self._metrics.db_connections_idle.set(idle)
        self._metrics.db_connections_open.set(in_use + idle)

    def _create_engine(self) -> Engine:
        engine = create_engine(
            self._settings.url,
            poolclass=SteadyPool,
            pool_size=self._share,
            max_overflow=0,
            pool_timeout=self._settings.pool_timeout.total_seconds(),
            pool_recycle=round(self._settings.conn_max_lifetime.total_seconds()),
            pool_use_lifo=True,
            hide_parameters=True,  # an error text goes to the log, event data must not
            connect_args=self._connect_args(),
        )
        self._check_at_checkout(engine)
        return engine

    def _connect_args(self) -> dict[str, Any]:
        statement_timeout_ms = milliseconds(self._settings.statement_timeout)
        return {
            "application_name": self._application_name,
            "connect_timeout": max(2, round(self._settings.connect_timeout.total_seconds())),
            "options": f"-c TimeZone=UTC -c statement_timeout={statement_timeout_ms}",
            "prepare_threshold": self._settings.prepare_threshold,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            # Sent and not even acknowledged: the network lost it, and the answer will not come.
            "tcp_user_timeout": TCP_USER_TIMEOUT_MS,
        }

    def _check_at_checkout(self, engine: Engine) -> None:
        """Replace a connection that idled too long, or that no longer answers.

        SQLAlchemy's own pre-ping would hang for ever on a frozen server, and costs a round trip also for
        a connection that was in use a moment ago.
        """
        max_idle_seconds = self._settings.conn_max_idle_time.total_seconds()

        @event.listens_for(engine, "checkin")
        def remember(driver: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
            entry.info[IDLE_SINCE] = monotonic_seconds()
            if driver is not None:
                # After a read SQLAlchemy leaves False behind, and that begins the next transaction with
                # READ WRITE: a server that wants no writes has to be able to say so.
                cast("psycopg.Connection", driver).read_only = None

        @event.listens_for(engine, "checkout")
        def check(driver: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: object) -> None:
            idle_since = entry.info.pop(IDLE_SINCE, None)
            idle_seconds = monotonic_seconds() - idle_since if idle_since is not None else 0.0
            if idle_seconds > max_idle_seconds:
                raise sqlalchemy.exc.DisconnectionError  # the pool opens a new one in its place
            if idle_seconds > PING_AFTER_IDLE_SECONDS:
                self._ping(engine, driver)

    def _ping(self, engine: Engine, driver: DBAPIConnection) -> None:
        try:
            with self._watchdog.watching(cast("HasSocket", driver), PING_SECONDS):
                engine.dialect.do_ping(driver)
        except psycopg.Error as error:
            # Its neighbours in the pool are as old, and as dead.
            raise sqlalchemy.exc.InvalidatePoolError from error


def application_name() -> str:
    """Return ``datastorage/<pod>/<pid>``, what ``pg_stat_activity`` shows for this process."""
    return f"datastorage/{socket.gethostname()}/{os.getpid()}"[:63]
