"""From findings to the answers of the health endpoints: alive, ready, healthy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from datastorage.errors import DatabaseUnsuitable
from datastorage.health.checks import Check, Finding, findings
from datastorage.health.probes import QueueState
from datastorage.ledger.state import State
from datastorage.platform.access.control import AccessControl
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.logs import line_writers
from datastorage.platform.web.shapes import meaning

DATABASE_FAILED = "database connection failed"


class Alive(msgspec.Struct, frozen=True):
    """The process can answer."""

    status: Annotated[Literal["alive"], meaning("Always `alive`.")] = "alive"


class Answering(msgspec.Struct, frozen=True, kw_only=True):
    """The process can answer, and says when."""

    status: Annotated[Literal["healthy"], meaning("Always `healthy`.")] = "healthy"
    timestamp: Annotated[str, meaning("The time of the process, in UTC.")]


class Ready(msgspec.Struct, frozen=True, omit_defaults=True):
    """Traffic may come here."""

    status: Annotated[Literal["ready"], meaning("Always `ready`.")]
    degraded: Annotated[
        Literal["database_unreachable"] | None, meaning("Only the queue takes writes at the moment.")
    ] = None


class NotReady(msgspec.Struct, frozen=True, omit_defaults=True):
    """Traffic must not come here."""

    status: Annotated[Literal["not_ready", "shutting_down"], meaning("Whether this pod is ending.")]
    reason: Annotated[
        Literal[
            "database_unreachable", "database_unsuitable", "schema_outdated", "graceful_shutdown_in_progress"
        ],
        meaning("What has to change first."),
    ]
    error: Annotated[str | None, meaning("What failed; the log has the cause.")] = None


class Healthy(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The database is reachable."""

    status: Annotated[Literal["healthy", "unhealthy"], meaning("Whether the database is reachable.")]
    database: Annotated[Literal["connected", "unreachable"], meaning("Whether PostgreSQL answers.")]
    redis: Annotated[
        Literal["connected", "read_only", "full", "unreachable"],
        meaning("Whether Redis answers, and takes entries: not as a replica, nor when its memory is full."),
    ]
    queue: Annotated[
        Literal["volatile"] | None, meaning("The queue may lose entries when Redis ends abruptly.")
    ] = None
    auth: Annotated[str, meaning("The modes of access control; `none` alone: it is off.")]
    auth_backend: Annotated[
        Literal["unreachable"] | None, meaning("Whoever knows the callers does not answer.")
    ] = None
    ledger: Annotated[
        Literal["ok", "unsigned", "behind", "stopped", "off"],
        meaning(
            "Whether events get their leaves, and checkpoints are signed. `behind`: something has waited for "
            "a minute; `stopped`: the history is not the one that was published."
        ),
    ]
    log: Annotated[Literal["blocked"] | None, meaning("Log lines are not read, and are dropped.")] = None


class Unhealthy(Healthy, frozen=True, kw_only=True):
    """The database is not reachable."""

    error: Annotated[str, meaning("What failed; the log has the cause.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthService:
    """Liveness, readiness and health (BR-STORAGE-028, DD-007).

    Attributes:
        database: finds the schema revision.
        redis: finds whether an entry could be queued, and whether Redis would keep it.
        access: knows its modes, and whether whoever it asks answers.
        ledger: its state.
        is_shutting_down: the flag shared by all workers.
        required_revision: the migration this code was written for.
        readiness_requires_database: whether an unreachable database makes the pod not ready.
    """

    database: Check
    redis: Check
    access: AccessControl
    ledger: Callable[[], State]
    is_shutting_down: Callable[[], bool]
    required_revision: str
    readiness_requires_database: bool

    def database_answers(self) -> bool:
        """Tell whether the database answers, within two seconds."""
        [database] = findings(self.database)
        return database.is_up

    def ready(self) -> Ready | NotReady:
        """Tell whether traffic should come here."""
        if self.is_shutting_down():
            return NotReady("shutting_down", "graceful_shutdown_in_progress")
        # Redis is always asked, for its gauge: a pod has no other caller. Its answer is waited for only where
        # readiness depends on it.
        self.redis.ask(monotonic_seconds())
        needed = [self.database] if self.readiness_requires_database else [self.database, self.redis]
        database, *queue = findings(*needed)
        if isinstance(database.cause, DatabaseUnsuitable):
            return NotReady("not_ready", "database_unsuitable")
        if not database.is_up and any(_redis_state(redis) == "connected" for redis in queue):
            return Ready("ready", "database_unreachable")
        if not database.is_up:
            return NotReady("not_ready", "database_unreachable", DATABASE_FAILED)
        # Zero-padded revision numbers sort as text. A newer schema is fine: migrations expand first.
        if str(database.fact or "") < self.required_revision:
            return NotReady("not_ready", "schema_outdated")
        return Ready("ready")

    def health(self) -> Healthy | Unhealthy:
        """Tell what is reachable, for people and dashboards."""
        database, queue = findings(self.database, self.redis)
        is_volatile = isinstance(queue.fact, QueueState) and not queue.fact.is_durable
        is_blocked = any(writer.is_blocked() for writer in line_writers())
        rest: dict[str, Any] = {
            "redis": _redis_state(queue),
            "auth": ",".join(self.access.modes),
            "auth_backend": "unreachable" if self.access.is_backend_failing else None,
            "ledger": self.ledger(),
            "queue": "volatile" if is_volatile else None,
            "log": "blocked" if is_blocked else None,
        }
        if database.is_up:
            return Healthy(status="healthy", database="connected", **rest)
        return Unhealthy(status="unhealthy", database="unreachable", **rest, error=DATABASE_FAILED)


def _redis_state(queue: Finding) -> str:
    return queue.fact.redis if isinstance(queue.fact, QueueState) else "unreachable"
