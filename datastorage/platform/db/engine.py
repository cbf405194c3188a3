"""SQLAlchemy's engine as we want it: how connections are made, kept and trusted.

Every connection is in autocommit mode: a transaction begins by what ``transactions`` says, and a single
statement that needs none has none.
"""

from typing import Any, cast

import psycopg
import sqlalchemy
import sqlalchemy.exc
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.db.pool import IDLE_SINCE, SteadyPool
from datastorage.platform.db.transactions import milliseconds
from datastorage.platform.db.watchdog import HasSocket, Watchdog
from datastorage.settings import DatabaseSettings

TCP_USER_TIMEOUT_MS = 5000
PING_AFTER_IDLE_SECONDS = 1.0
PING_SECONDS = 2.0
HEALTH_CONNECT_SECONDS = 2


def create_engine(
    settings: DatabaseSettings, *, share: int, application_name: str, watchdog: Watchdog
) -> Engine:
    """Return the engine of a process that may open ``share`` connections; none is opened yet."""
    engine = sqlalchemy.create_engine(
        settings.url,
        isolation_level="AUTOCOMMIT",
        poolclass=SteadyPool,
        pool_size=share,
        max_overflow=0,
        pool_timeout=settings.pool_timeout.total_seconds(),
        pool_recycle=round(settings.conn_max_lifetime.total_seconds()),
        pool_use_lifo=True,
        hide_parameters=True,  # an error text goes to the log, event data must not
        connect_args=_connect_args(settings, application_name),
    )
    cast("SteadyPool", engine.pool).max_idle = max(1, min(settings.max_idle_conns, share))
    _check_at_checkout(engine, settings.conn_max_idle_time.total_seconds(), watchdog)
    return engine


def create_engine_outside_pool(settings: DatabaseSettings, *, application_name: str) -> Engine:
    """Return an engine that opens a connection each time it is asked for one, and soon gives up."""
    connect_args = _connect_args(settings, application_name)
    return sqlalchemy.create_engine(
        settings.url,
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
        connect_args=connect_args | {"connect_timeout": HEALTH_CONNECT_SECONDS},
    )


def _connect_args(settings: DatabaseSettings, application_name: str) -> dict[str, Any]:
    session = {
        "TimeZone": "UTC",
        "statement_timeout": milliseconds(settings.statement_timeout),
        # For statements outside transactions. Left to itself PostgreSQL plans each one ten times on every new
        # connection, 10 to 30 ms each time with 84 partitions, before it keeps a plan, if it does.
        "plan_cache_mode": "force_generic_plan",
    }
    return {
        "application_name": application_name,
        "connect_timeout": max(2, round(settings.connect_timeout.total_seconds())),
        "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
        "prepare_threshold": settings.prepare_threshold,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        # Sent and not even acknowledged: the network lost it, and the answer will not come.
        "tcp_user_timeout": TCP_USER_TIMEOUT_MS,
    }


def _check_at_checkout(engine: Engine, max_idle_seconds: float, watchdog: Watchdog) -> None:
    """Replace a connection that idled too long, or that no longer answers.

    SQLAlchemy's own pre-ping would hang for ever on a frozen server, and costs a round trip also for
    a connection that was in use a moment ago.
    """

    @event.listens_for(engine, "checkin")
    def remember(_driver: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info[IDLE_SINCE] = monotonic_seconds()

    @event.listens_for(engine, "checkout")
    def check(driver: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: object) -> None:
        idle_since = entry.info.pop(IDLE_SINCE, None)
        idle_seconds = monotonic_seconds() - idle_since if idle_since is not None else 0.0
        if idle_seconds > max_idle_seconds:
            raise sqlalchemy.exc.DisconnectionError  # the pool opens a new one in its place
        if idle_seconds > PING_AFTER_IDLE_SECONDS:
            _ping(engine, driver, watchdog)


def _ping(engine: Engine, driver: DBAPIConnection, watchdog: Watchdog) -> None:
    try:
        with watchdog.watching(cast("HasSocket", driver), PING_SECONDS):
            engine.dialect.do_ping(driver)
    except psycopg.Error as error:
        # Its neighbours in the pool are as old, and as dead.
        raise sqlalchemy.exc.InvalidatePoolError from error
