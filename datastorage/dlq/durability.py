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
from datetime import timedelta
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
SUPPOSED_ENTRY_BYTES: Final = 2048
"""Mean size of an entry where nobody has measured it."""
ROOM: Final = 4 * 2
"""Two queues, and as much again for retry sets, dead letters and what Redis needs for itself, twice."""


class NotDurable(Exception):
    """Redis did not confirm in time that the entries are in its append-only file."""


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
        self._latest_connection = self._asked_at = object()
        self._known: Persistence | None = None
        self._warned_at = float("-inf")
        client.get_connection_kwargs()["redis_connect_func"] = self._greet

    def _greet(self, connection: Connection) -> None:
        connection.on_connect()  # type: ignore[no-untyped-call] # redis-py's own greeting
        self._latest_connection = object()  # a new token, for a count could be lost between threads

    def ask(self) -> Persistence:
        """Ask Redis now, show the answer on the gauge and return it.

        Raises:
            redis.RedisError: it does not answer.
        """
        asked_at = self._latest_connection
        found = persistence_of(self._client)
        self._known, self._asked_at = found, asked_at
        self._metrics.dlq_durable.set(found.is_durable(self._require_aof))
        return found

    def _current(self) -> Persistence:
        known = self._known
        return known if known is not None and self._asked_at is self._latest_connection else self.ask()

    def confirm(self, enqueue: Callable[[timedelta | None], int], budget: timedelta) -> int:
        """Return what ``enqueue`` returns, given how long to wait for the disk, ``None`` for not at all.

        Raises:
            NotDurable: queued, and not known to be on the disk.
            redis.RedisError: Redis does not answer.
        """
        if self._require_aof == "false":
            return enqueue(None)
        if self._current().can_confirm:
            try:
                return enqueue(budget)
            except NotDurable:
                self._known = None  # it may be another server, or another setting
                raise
        depth = enqueue(None)
        found = self._current()  # the connection may be a new one
        if found.can_confirm or (self._require_aof == "true" and not found.is_immediate):
            raise NotDurable
        return depth

    def is_durable(self) -> bool:
        """Ask Redis whether nothing that is acknowledged now can be lost; warn at once and every hour if not.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        found = self.ask()
        is_durable, now = found.is_durable(self._require_aof), self._clock()
        if not is_durable and now - self._warned_at >= REMINDER_SECONDS:
            self._warned_at = now
            logger.warning("Queue is not durable", extra=asdict(found))
        return is_durable


def check_redis(client: redis.Redis, durability: Durability, settings: RedisSettings) -> list[str]:
    """Log a warning for every setting of the server that may lose entries, and return their names.

    None of them is fatal: ``CONFIG`` may be forbidden, and without Redis the service works without its
    fallback. An unreachable server is logged as an error, with the name ``redis``; a queue that is not
    durable has the name ``durability``.
    """
    try:
        is_durable = durability.is_durable()
    except (redis.RedisError, OSError) as error:
        logger.error("Redis unreachable, no fallback for audit writes", extra={"cause": type(error).__name__})
        return ["redis"]
    try:
        found: dict[str, Any] = {**client.config_get("maxmemory*"), **client.config_get("append*")}  # type: ignore[dict-item]
    except (redis.RedisError, OSError) as error:
        extra = {"cause": type(error).__name__}
        logger.warning("Redis configuration cannot be read, durability of the DLQ unknown", extra=extra)
        found = {}
    wrong = _wrong_settings(found, settings)
    for name, wanted in wrong.items():
        extra = {"setting": name, "value": found[name], "wanted": wanted}
        logger.warning("Redis may lose entries of the DLQ", extra=extra)
    return [*wrong] if is_durable else [*wrong, "durability"]


def _wrong_settings(found: dict[str, Any], settings: RedisSettings) -> dict[str, str]:
    """Return what is wanted instead, by name of the setting; what could not be read is not judged."""
    least_bytes = ROOM * settings.dlq_max_len * SUPPOSED_ENTRY_BYTES
    wanted = {}
    if found.get("maxmemory-policy", "noeviction") != "noeviction":
        wanted["maxmemory-policy"] = "noeviction"
    if found.get("appendonly", "yes") != "yes":
        wanted["appendonly"] = "yes"
    if found.get("appendfsync", "always") == "no":
        wanted["appendfsync"] = "everysec or always"
    if 0 < int(found.get("maxmemory", 0)) < least_bytes:
        wanted["maxmemory"] = f"at least {least_bytes}"
    return wanted
