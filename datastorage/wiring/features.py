"""The features: what their views ask for, and the background work they bring."""

import socket
import tempfile
from functools import partial
from pathlib import Path

import redis

from datastorage.audit.inserts import inserts
from datastorage.audit.journal import Journal
from datastorage.audit.parameters import AuditSearch
from datastorage.audit.parents import Parents
from datastorage.audit.reader import AuditReader
from datastorage.audit.reads import ReadTrail, loss_counter
from datastorage.audit.schemas import AuditBatch, AuditEventSchema
from datastorage.audit.service import AuditService
from datastorage.audit.store import AuditStore
from datastorage.audit.writer import GroupWriter
from datastorage.dlq.attempt import WriteAttempts
from datastorage.dlq.breaker import CircuitBreaker
from datastorage.dlq.durability import Durability, check_redis
from datastorage.dlq.entry import EntryType
from datastorage.dlq.gauges import LevelGauges
from datastorage.dlq.replay import Destination, Replayer
from datastorage.dlq.service import DeadLetterQueue
from datastorage.dlq.stream import RedisQueue
from datastorage.dlq.worker import RetryWorker
from datastorage.health.checks import Check
from datastorage.health.probes import DatabaseProbe, queue_state
from datastorage.health.service import HealthService
from datastorage.incidents.aggregates.service import AggregateService
from datastorage.incidents.aggregates.store import AggregateStore
from datastorage.incidents.reading.parameters import IncidentExportQuery, IncidentQuery
from datastorage.incidents.reading.service import IncidentService
from datastorage.incidents.reading.store import IncidentStore
from datastorage.incidents.writing import schemas as incident_schemas
from datastorage.incidents.writing.service import IncidentWriteService
from datastorage.incidents.writing.store import IncidentWriteStore
from datastorage.ledger.feed_parameters import FeedQuery
from datastorage.ledger.state import SharedState
from datastorage.notifications.schemas import NotificationSchema
from datastorage.notifications.service import NotificationService
from datastorage.notifications.store import NotificationStore
from datastorage.partitions.store import PartitionStore
from datastorage.partitions.worker import MAINTENANCE_INTERVAL, RETRY_INTERVAL, PartitionWorker
from datastorage.platform.access.control import AccessControl
from datastorage.platform.clock import Clock
from datastorage.platform.db.database import Database
from datastorage.platform.exports import Exports
from datastorage.platform.loop import Loop
from datastorage.platform.metrics import Metrics
from datastorage.platform.pod_lock import PodLock
from datastorage.platform.redis import redis_client
from datastorage.platform.server.shared import SharedFlag
from datastorage.platform.web.audited_reads import AuditedReads
from datastorage.settings import Settings
from datastorage.tables import SCHEMA_REVISION
from datastorage.wiring.services import Services
from datastorage.workflows import schemas as workflow_schemas
from datastorage.workflows.search import WorkflowSearch
from datastorage.workflows.service import WorkflowService
from datastorage.workflows.store import WorkflowStore


def add_readers(services: Services, settings: Settings, clock: Clock) -> None:
    """Add what reads requests and needs a clock or settings; routes make the other readers themselves."""
    event = AuditEventSchema(settings.audit, settings.limits, clock)
    most = settings.server.max_body_bytes
    incident = incident_schemas.NewIncidentSchema(clock, maximum_bytes=most)
    services.add(
        event,
        AuditBatch(event, maximum=settings.audit.max_batch_size),
        AuditSearch(clock),
        FeedQuery(clock),
        NotificationSchema(clock),
        IncidentQuery(clock),
        IncidentExportQuery(clock),
        incident,
        incident_schemas.IncidentBatch(incident),
        incident_schemas.OutcomeSchema(maximum_bytes=most),
        workflow_schemas.NewWorkflowSchema(maximum_bytes=most),
    )


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
    durability = Durability(client, settings.redis, metrics)
    services.closers.append(client.close)
    services.add(
        client,
        queue,
        durability,
        DeadLetterQueue(queue, durability, settings, metrics, clock),
        CircuitBreaker(metrics.circuit_breaker_state),
    )


def add_audit(services: Services, settings: Settings, clock: Clock) -> None:
    """Add audit events, notifications and the maintenance of their partitions."""
    database, metrics = services[Database], services[Metrics]
    store = AuditStore(
        database,
        settings.audit,
        settings.limits,
        lock_timeout=settings.database.write_lock_timeout,
        inserts=inserts(feed_ledger=settings.ledger.enabled),
    )
    writer = GroupWriter(store.append, max_wait_seconds=settings.audit.write_timeout.total_seconds())
    notifications = NotificationStore(database, settings.audit, settings.database)
    queue, attempts = services[DeadLetterQueue], WriteAttempts(services[CircuitBreaker], metrics)
    months = PartitionStore(database)
    services.add(
        AuditService(
            store=store,
            writer=writer,
            queue=queue,
            parents=Parents(queue, months.detached_months),
            attempts=attempts,
            metrics=metrics,
            clock=clock,
        ),
        AuditReader(
            database,
            _exports("audit", settings.audit.max_concurrent_exports, settings, metrics),
            metrics,
            max_page_bytes=settings.limits.max_page_bytes,
        ),
        NotificationService(
            store=notifications, queue=queue, attempts=attempts, metrics=metrics, clock=clock
        ),
    )
    add_journal(services, settings, clock)
    partitions = PartitionWorker(months, settings, metrics, clock)
    services.loops.append(
        Loop("partitions", partitions.run_once, MAINTENANCE_INTERVAL, retry_interval=RETRY_INTERVAL)
    )


def add_journal(services: Services, settings: Settings, clock: Clock) -> None:
    """Add what writes events in the background, and the reads that leave one."""
    metrics = services[Metrics]
    journal = Journal(services[AuditService], metrics, loss_counter(metrics))
    services.starters.append(journal.start)
    services.closers.append(journal.close)
    trail = ReadTrail(journal, metrics, clock)
    services.add(journal, AuditedReads(settings.auth.audit_reads, trail.write))


def add_workflows(services: Services, settings: Settings, clock: Clock) -> None:
    """Add the workflow catalogue, which needs the journal for events of its own."""
    metrics, journal = services[Metrics], services[Journal]
    store = WorkflowStore(services[Database])
    maximum_event_bytes = settings.limits.max_event_data_bytes
    services.add(
        WorkflowService(store, journal, metrics, settings.workflows),
        WorkflowSearch(store, journal, metrics, clock, maximum_event_bytes=maximum_event_bytes),
    )


def add_incidents(services: Services, settings: Settings, clock: Clock) -> None:
    """Add incidents: reading, aggregates and writing."""
    database, metrics = services[Database], services[Metrics]
    store = IncidentStore(database, max_page_bytes=settings.limits.max_page_bytes)
    services.add(
        IncidentService(
            store,
            _exports("incidents", settings.incidents.max_concurrent_exports, settings, metrics),
            metrics,
            services[SharedFlag],
        ),
        AggregateService(AggregateStore(database), metrics, clock),
        IncidentWriteService(IncidentWriteStore(database, settings.database), metrics),
    )


def _exports(kind: str, maximum: int, settings: Settings, metrics: Metrics) -> Exports:
    return Exports(kind, maximum=maximum, longest=settings.server.max_export_duration, metrics=metrics)


def add_health(services: Services, settings: Settings) -> None:
    """Add the health checks; none of them uses the pool that requests wait for."""
    metrics, breaker = services[Metrics], services[CircuitBreaker]
    probe = DatabaseProbe(services[Database])
    services.closers.append(probe.close)

    def database_found(is_up: bool) -> None:  # noqa: FBT001 - the one argument of every finding
        metrics.db_up.set(is_up)
        if is_up:
            # Closes the circuit before a write has to probe the database.
            breaker.succeeded()

    services.add(
        HealthService(
            database=Check("database", probe, abort=probe.abort, on_finding=database_found),
            redis=Check(
                "redis",
                partial(queue_state, services[redis.Redis], services[Durability].is_durable),
                on_finding=metrics.redis_up.set,
            ),
            is_shutting_down=services[SharedFlag],
            required_revision=SCHEMA_REVISION,
            readiness_requires_database=settings.server.readiness_requires_database,
            access=services[AccessControl],
            ledger=services[SharedState],
        )
    )


def add_replay(services: Services, settings: Settings, clock: Clock) -> None:
    """Add the retry loop; the services that write have to be there."""
    queue, durability = services[RedisQueue], services[Durability]
    replayer = Replayer(queue, destination_of(services), settings.redis, services[Metrics], clock)
    worker = RetryWorker(
        queue,
        replayer,
        LevelGauges(queue, services[DeadLetterQueue], durability, services[Metrics], clock),
        settings=settings.redis,
        clock=clock,
        # TMPDIR is the runtime directory of the pod; see platform/server/startup.py.
        lock=PodLock(Path(tempfile.gettempdir()) / "dlq-retry.lock"),
    )
    services.add(replayer, worker)
    services.loops.append(worker)
    services.starters.append(lambda: check_redis(services[redis.Redis], durability, settings.redis))


def destination_of(services: Services) -> Destination:
    """Return how each type of queued record is written again."""
    replays = {
        EntryType.AUDIT_EVENT: services[AuditService].replay,
        EntryType.NOTIFICATION_AUDIT: services[NotificationService].replay,
    }
    return Destination(replays, services[HealthService].database_answers)
