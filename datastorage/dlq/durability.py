"""Whether entries survive the death of Redis: a 202 is given only for one that is on its disk (BR-AUDIT-001).

With ``appendfsync everysec`` Redis answers before it writes while an earlier flush is under way, so even
the death of its process takes acknowledged entries along. ``WAITAOF`` behind the enqueue closes that gap.

Only the enqueue needs it. Everything after that moves an entry by one script or one transaction, which
Redis writes to its append-only file as a whole: a file cut anywhere has the entry in the old place or in
the new one. And it is removed for good only after PostgreSQL has committed its row.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import redis
from redis.client import Pipeline
from redis.connection import Connection
from redis.exceptions import NoPermissionError

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics import Metrics
from datastorage.settings import RedisSettings

logger = logging.getLogger(__name__)

REMINDER_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Persistence:
    """What one Redis does for its entries; ``appendfsync`` is ``unknown`` where ``CONFIG`` is forbidden."""

    appendonly: bool
    appendfsync: str
    waitaof: bool

    @property
    def can_confirm(self) -> bool:
        """Whether it can tell that an entry is on its disk."""
        return self.appendonly and self.waitaof

    @property
    def is_immediate(self) -> bool:
        """Whether every answer of it comes after the disk."""
        return self.appendonly and self.appendfsync == "always"

    def is_durable(self, require_aof: str) -> bool:
        """Tell whether nothing that is acknowledged can be lost, under ``redis.dlq_require_aof``."""
        return self.is_immediate or (self.can_confirm and require_aof != "false")


def persistence_of(client: redis.Redis) -> Persistence:
    """Ask a server; what it keeps to itself is taken for missing.

    Raises:
        redis.RedisError: it does not answer.
    """
    pipeline = client.pipeline(transaction=False)
    pipeline.info("persistence")
    pipeline.config_get("append*")
    # Both: a replica, which may be promoted any moment, knows the command and refuses it, and so does a
    # server whose access list forbids it.
    _command(pipeline, "COMMAND INFO", "WAITAOF")
    _command(pipeline, "WAITAOF", 0, 0, 1)
    info, config, known, tried = pipeline.execute(raise_on_error=False)
    settings: dict[str, Any] = config if isinstance(config, dict) else {}
    is_logged = isinstance(info, dict) and bool(info.get("aof_enabled"))
    is_known = isinstance(known, list) and known[:1] != [None]
    return Persistence(
        appendonly=is_logged or settings.get("appendonly") == "yes",
        appendfsync=str(settings.get("appendfsync", "unknown")),
        waitaof=isinstance(tried, list) or (is_known and not isinstance(tried, NoPermissionError)),
    )


def _command(pipeline: Pipeline, *parts: str | int) -> None:
    pipeline.execute_command(*parts)  # type: ignore[no-untyped-call]


class Durability:
    """What is known of our Redis: asked at the start and after each new connection, for it may be another.

    Args:
        client: its connections are watched.
        settings: ``dlq_require_aof``.
        metrics: the gauge.
        clock: seconds that never jump.
    """

    def __init__(
        self,
        client: redis.Redis,
        settings: RedisSettings,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = monotonic_seconds,
    ) -> None:
        self._client = client
        self._clock = clock
        self._require_aof = settings.dlq_require_aof
        self._metrics = metrics
        self._connections = 0
        self._asked_at = -1
        self._known: Persistence | None = None
        self._warned_at = float("-inf")
        client.get_connection_kwargs()["redis_connect_func"] = self._greet

    def _greet(self, connection: Connection) -> None:
        connection.on_connect()  # type: ignore[no-untyped-call] # redis-py's own greeting
        self._connections += 1

    def ask(self) -> Persistence:
        """Ask Redis now, show the answer on the gauge and return it.

        Raises:
            redis.RedisError: it does not answer.
        """
        connections = self._connections
        found = persistence_of(self._client)
        self._known, self._asked_at = found, connections
        self._metrics.dlq_durable.set(found.is_durable(self._require_aof))
        return found

    def is_durable(self) -> bool:
        """Ask Redis whether nothing that is acknowledged now can be lost.

        Raises:
            redis.RedisError: it does not answer.
        """
        return self.ask().is_durable(self._require_aof)

    def _current(self) -> Persistence:
        known = self._known
        return known if known is not None and self._asked_at == self._connections else self.ask()

    def must_confirm(self) -> bool:
        """Tell whether an enqueue has to wait for the disk, asking Redis only after a new connection.

        Raises:
            redis.RedisError: it does not answer.
        """
        return self._require_aof != "false" and self._current().can_confirm

    def may_acknowledge_unconfirmed(self) -> bool:
        """Tell whether an enqueue that did not wait counts; the server may have been replaced meanwhile.

        Raises:
            redis.RedisError: it does not answer.
        """
        if self._require_aof == "false":
            return True
        found = self._current()
        return not found.can_confirm and (found.is_immediate or self._require_aof == "auto")

    def forget(self) -> None:
        """Ask again before the next enqueue: a confirmation has failed."""
        self._known = None

    def remind(self) -> bool:
        """Warn of a volatile queue, at the start and every hour; return whether the queue is durable.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        found = self.ask()
        is_durable, now = found.is_durable(self._require_aof), self._clock()
        if not is_durable and now - self._warned_at >= REMINDER_SECONDS:
            self._warned_at = now
            logger.warning("Queue is not durable", extra=asdict(found))
        return is_durable
