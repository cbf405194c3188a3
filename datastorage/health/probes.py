"""How the checks reach the servers: on connections of their own, outside the pool that requests use."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Final, Literal, cast

from redis import Redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError
from sqlalchemy import Connection, String, column, select, table
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from datastorage.platform.db.database import Database
from datastorage.platform.db.watchdog import HasSocket, cut

PROBE_KEY: Final = "audit:dlq:probe"

_revision = select(table("alembic_version", column("version_num", String)).c.version_num)


class DatabaseProbe:
    """Reads the schema revision on one kept connection; opens a new one when that cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._idle: Connection | None = None
        self._busy: HasSocket | None = None
        self._is_aborted = False

    def __call__(self) -> str | None:
        """Return the schema revision of the database, ``None`` when it was never migrated.

        Raises:
            SQLAlchemyError: the database does not answer.
            DatabaseUnsuitable: the service would not work in it.
        """
        self._is_aborted = False
        kept = self._take()
        if kept is not None and not self._database.is_current(kept):
            kept.close()
        elif kept is not None:
            try:
                return self._ask(kept)
            except SQLAlchemyError:
                if self._is_aborted:
                    raise
                # The server may have restarted since; that it answers now is what counts.
        return self._ask(self._database.connect_outside_pool())

    def _ask(self, connection: Connection) -> str | None:
        with self._lock:
            self._busy = cast("HasSocket", connection.connection.dbapi_connection)
        try:
            revision = self._read_revision(connection)
        except SQLAlchemyError:
            with suppress(SQLAlchemyError):
                connection.invalidate()
                connection.close()
            raise
        finally:
            with self._lock:
                self._busy = None
        with self._lock:
            self._idle = connection
        return revision

    def abort(self) -> None:
        """Cut the connection a probe hangs on; libpq itself would wait for as long as the server does."""
        with self._lock:
            self._is_aborted = True
            if self._busy is not None:
                cut(self._busy)

    def close(self) -> None:
        """Close the kept connection."""
        connection = self._take()
        if connection is not None:
            connection.close()

    def _take(self) -> Connection | None:
        with self._lock:
            connection, self._idle = self._idle, None
        return connection

    def _read_revision(self, connection: Connection) -> str | None:
        try:
            return connection.execute(_revision).scalar_one_or_none()
        except ProgrammingError:
            return None  # reachable, but there is no such table: never migrated


@dataclass(frozen=True, slots=True)
class QueueState:
    """The state of a Redis that answers.

    ``redis`` is ``connected``, ``read_only`` for a replica, or ``full`` at ``maxmemory``: only the first
    takes entries.
    """

    redis: Literal["connected", "read_only", "full"]
    is_durable: bool


def queue_state(client: Redis, is_durable: Callable[[], bool]) -> QueueState:
    """Ask whether Redis takes entries, by a write that changes nothing, and whether it keeps them.

    Raises:
        redis.RedisError: it does not answer.
    """
    try:
        # Refused like every write that may need memory, and an empty text creates no key.
        client.setrange(PROBE_KEY, 0, "")
    except ReadOnlyError:
        return QueueState("read_only", is_durable())
    except OutOfMemoryError:
        return QueueState("full", is_durable())
    return QueueState("connected", is_durable())
