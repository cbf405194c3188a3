"""SQLAlchemy's engine as we want it: how connections are opened, kept and replaced.

Every connection is in autocommit mode: a transaction begins with what ``transactions`` says, and a single
statement runs without one.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import psycopg
import sqlalchemy
import sqlalchemy.exc
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.db.faults import Ending
from datastorage.platform.db.pool import GENERATION, IDLE_SINCE, Renewals, SteadyPool
from datastorage.platform.db.session import prepare_session
from datastorage.platform.db.watchdog import HasSocket, Watchdog
from datastorage.settings import DatabaseSettings

TCP_USER_TIMEOUT_MS = 5000
PING_AFTER_IDLE_SECONDS = 1.0
ANSWER_SECONDS = 2.0
HEALTH_CONNECT_TIMEOUT = timedelta(seconds=2)


@contextmanager
def connected(settings: DatabaseSettings, application_name: str) -> Iterator[Connection]:
    """Lend a single connection; raises as ``Database.connect_outside_pool`` does."""
    with closing(Watchdog()) as watchdog:
        renewals = Renewals(lambda _reason: None)
        engine = Engines(settings, application_name, watchdog, renewals).unpooled(settings.connect_timeout)
        with engine.connect() as connection:
            yield connection


@dataclass(frozen=True, slots=True)
class Engines:
    """Makes the engines of one process; ``renewals`` replaces what any of them has opened."""

    settings: DatabaseSettings
    application_name: str
    watchdog: Watchdog
    renewals: Renewals

    def pooled(self, share: int) -> Engine:
        """Return an engine that keeps up to ``share`` connections; none is opened yet."""
        engine = self._engine(
            self.settings.connect_timeout,
            poolclass=SteadyPool,
            pool_size=share,
            max_overflow=0,
            pool_timeout=self.settings.pool_timeout.total_seconds(),
            pool_recycle=round(self.settings.conn_max_lifetime.total_seconds()),
            pool_use_lifo=True,
        )
        cast("SteadyPool", engine.pool).max_idle = max(1, min(self.settings.max_idle_conns, share))
        self._check_at_checkout(engine)
        return engine

    def unpooled(self, connect_timeout: timedelta) -> Engine:
        """Return an engine that opens a connection each time it is asked for one."""
        return self._engine(connect_timeout, poolclass=NullPool)

    def _engine(self, connect_timeout: timedelta, **pool: Any) -> Engine:
        connect_args = {
            "application_name": self.application_name,
            "autocommit": True,
            "client_encoding": "utf8",  # as SQL_ASCII the driver would return bytes
            "connect_timeout": max(2, round(connect_timeout.total_seconds())),
            "prepare_threshold": self.settings.prepare_threshold,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            # Sent and not even acknowledged: the network lost it, and the answer will not come.
            "tcp_user_timeout": TCP_USER_TIMEOUT_MS,
        }
        engine = sqlalchemy.create_engine(
            self.settings.url,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,  # an error text goes to the log, event data must not
            connect_args=connect_args,
            **pool,
        )
        event.listen(engine, "do_connect", self._connect)
        return engine

    def _connect(
        self, dialect: Dialect, entry: ConnectionPoolEntry, arguments: list[Any], parameters: dict[str, Any]
    ) -> DBAPIConnection:
        """Open a connection and prepare it, before SQLAlchemy sends the first statement of its own."""
        generation = self.renewals.generation
        opened = dialect.connect(*arguments, **parameters)
        driver = cast("psycopg.Connection[Any]", opened)
        try:
            with self.watchdog.watching(driver, ANSWER_SECONDS):
                prepare_session(driver, self.settings.statement_timeout)
        except BaseException:
            driver.close()
            raise
        entry.info[GENERATION] = generation
        return opened

    def _check_at_checkout(self, engine: Engine) -> None:
        """Replace a connection that was given up, idled too long, or no longer answers.

        SQLAlchemy's own pre-ping would hang on a frozen server, and costs a round trip at every checkout.
        """
        max_idle_seconds = self.settings.conn_max_idle_time.total_seconds()

        @event.listens_for(engine, "checkin")
        def remember(_driver: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
            entry.info[IDLE_SINCE] = monotonic_seconds()

        @event.listens_for(engine, "checkout")
        def check(driver: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: object) -> None:
            idle_since = entry.info.pop(IDLE_SINCE, None)
            if idle_since is None:
                return  # just opened
            idle_seconds, generation = monotonic_seconds() - idle_since, entry.info[GENERATION]
            if idle_seconds > max_idle_seconds or generation != self.renewals.generation:
                raise sqlalchemy.exc.DisconnectionError  # the pool opens a new one in its place
            if idle_seconds > PING_AFTER_IDLE_SECONDS and not self._answers(engine, driver):
                self.renewals.renew(generation, Ending.LOST)
                raise sqlalchemy.exc.DisconnectionError

    def _answers(self, engine: Engine, driver: DBAPIConnection) -> bool:
        try:
            with self.watchdog.watching(cast("HasSocket", driver), ANSWER_SECONDS):
                return engine.dialect.do_ping(driver)
        except psycopg.Error:
            return False
