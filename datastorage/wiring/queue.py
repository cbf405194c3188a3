"""The dead-letter queue, and what brings its records back."""

import socket
import tempfile
from pathlib import Path

import redis

from datastorage.audit.service import AuditService
from datastorage.dlq.breaker import CircuitBreaker
from datastorage.dlq.entry import EntryType
from datastorage.dlq.preflight import check_redis
from datastorage.dlq.replay import Replay, Replayer
from datastorage.dlq.service import DeadLetterQueue
from datastorage.dlq.stream import RedisQueue
from datastorage.dlq.worker import RetryLock, RetryWorker
from datastorage.health.service import HealthService
from datastorage.notifications.service import NotificationService
from datastorage.platform.clock import Clock
from datastorage.platform.metrics import Metrics
from datastorage.platform.redis import redis_client
from datastorage.settings import Settings
from datastorage.wiring.services import Services


def add_queue(services: Services, settings: Settings, clock: Clock) -> None:
    """Add Redis, the queue in it and the circuit breaker in front of it."""
    client = redis_client(settings.redis)
    queue = RedisQueue(
        client,
        group=settings.redis.dlq_consumer_group,
        consumer=socket.gethostname(),
        max_len=settings.redis.dlq_max_len,
        dead_max_len=settings.redis.dlq_dead_letter_max_len,
    )
    metrics = services[Metrics]
    services.closers.append(client.close)
    services.add(
        client,
        queue,
        DeadLetterQueue(queue, settings.redis, settings.audit, metrics, clock),
        CircuitBreaker(metrics.circuit_breaker_state),
    )


def add_replay(services: Services, settings: Settings, clock: Clock) -> None:
    """Add the retry loop; the services that write have to be there."""
    replayer = Replayer(services[RedisQueue], replays_of(services), settings.redis, services[Metrics], clock)
    worker = RetryWorker(
        services[RedisQueue],
        replayer,
        services[DeadLetterQueue],
        database_answers=services[HealthService].database_answers,
        settings=settings.redis,
        metrics=services[Metrics],
        clock=clock,
        # TMPDIR is the runtime directory of the pod; see platform/server/runtime.py.
        lock=RetryLock(Path(tempfile.gettempdir()) / "dlq-retry.lock"),
    )
    services.add(replayer, worker)
    services.loops.append(worker)
    services.starters.append(lambda: check_redis(services[redis.Redis], settings.redis))


def replays_of(services: Services) -> dict[EntryType, Replay]:
    """Return how each type of queued record is written again."""
    return {
        EntryType.AUDIT_EVENT: services[AuditService].replay,
        EntryType.NOTIFICATION_AUDIT: services[NotificationService].replay,
    }
