"""From findings to the answers of section health: alive, ready, healthy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from datastorage.errors import DatabaseUnsuitable
from datastorage.health.checks import Check, Finding, findings
from datastorage.health.probes import CONNECTED, QueueState
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.logs import line_writers


@dataclass(frozen=True, slots=True)
class Up:
    """200."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Down:
    """503."""

    body: dict[str, Any]


DATABASE_FAILED = "database connection failed"


class HealthService:
    """Liveness, readiness and health (BR-STORAGE-028, DD-007).

    Args:
        database: finds the schema revision.
        redis: finds whether an entry could be queued, and whether Redis would keep it.
        is_shutting_down: the flag shared by all workers.
        required_revision: the migration this code was written for.
        readiness_requires_database: whether an unreachable database makes the pod not ready.
    """

    def __init__(
        self,
        database: Check,
        redis: Check,
        *,
        is_shutting_down: Callable[[], bool],
        required_revision: str,
        readiness_requires_database: bool,
    ) -> None:
        self._database = database
        self._redis = redis
        self._is_shutting_down = is_shutting_down
        self._required_revision = required_revision
        self._readiness_requires_database = readiness_requires_database

    def database_answers(self) -> bool:
        """Tell whether the database answers, within two seconds."""
        [database] = findings(self._database)
        return database.is_up

    def live(self) -> Up:
        """Answer that the process can answer; nothing is checked."""
        return Up({"status": "alive"})

    def ready(self) -> Up | Down:
        """Tell whether traffic should come here."""
        if self._is_shutting_down():
            return Down({"status": "shutting_down", "reason": "graceful_shutdown_in_progress"})
        # Redis is always asked, for its gauge: a pod has no other caller. Its answer is waited for only where
        # readiness depends on it.
        self._redis.ask(monotonic_seconds())
        needed = [self._database] if self._readiness_requires_database else [self._database, self._redis]
        database, *queue = findings(*needed)
        if isinstance(database.cause, DatabaseUnsuitable):
            return Down({"status": "not_ready", "reason": "database_unsuitable"})
        if not database.is_up and any(_takes_entries(redis) for redis in queue):
            return Up({"status": "ready", "degraded": "database_unreachable"})
        if not database.is_up:
            return Down({"status": "not_ready", "reason": "database_unreachable", "error": DATABASE_FAILED})
        # Zero-padded revision numbers sort as text. A newer schema is fine: migrations expand first.
        if str(database.fact or "") < self._required_revision:
            return Down({"status": "not_ready", "reason": "schema_outdated"})
        return Up({"status": "ready"})

    def health(self) -> Up | Down:
        """Tell what is reachable, for people and dashboards."""
        database, queue = findings(self._database, self._redis)
        rest = {"redis": queue.fact.redis if isinstance(queue.fact, QueueState) else "unreachable"}
        if isinstance(queue.fact, QueueState) and not queue.fact.is_durable:
            rest["queue"] = "volatile"
        if any(writer.is_blocked() for writer in line_writers()):
            rest["log"] = "blocked"
        if database.is_up:
            return Up({"status": "healthy", "database": "connected", **rest})
        return Down({"status": "unhealthy", "database": "unreachable", **rest, "error": DATABASE_FAILED})


def _takes_entries(queue: Finding) -> bool:
    return isinstance(queue.fact, QueueState) and queue.fact.redis == CONNECTED
