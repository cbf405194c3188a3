"""The composition root: the one place where objects are constructed, filed by class, and closed."""

import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from datastorage.audit.journal import Journal
from datastorage.audit.query_schema import AuditExportSchema, AuditQuerySchema
from datastorage.audit.reader import AuditReader
from datastorage.audit.routes import AuditSearch
from datastorage.audit.schemas import AuditBatch, AuditEventSchema, EventIdPath
from datastorage.audit.service import AuditService
from datastorage.audit.store import AuditStore
from datastorage.audit.writer import GroupWriter
from datastorage.dlq.attempt import WriteAttempts
from datastorage.dlq.breaker import CircuitBreaker
from datastorage.dlq.entry import EntryType
from datastorage.dlq.preflight import check_redis
from datastorage.dlq.replay import Replay, Replayer
from datastorage.dlq.service import DeadLetterQueue
from datastorage.dlq.stream import RedisQueue
from datastorage.dlq.worker import RetryLock, RetryWorker
from datastorage.health.checks import Check
from datastorage.health.probes import DatabaseProbe, RedisProbe
from datastorage.health.service import HealthService
from datastorage.incidents import readers as incident_readers
from datastorage.incidents import schemas as incident_schemas
from datastorage.incidents import tally_readers
from datastorage.incidents.service import IncidentService
from datastorage.incidents.store import IncidentStore
from datastorage.incidents.tally_service import TallyService
from datastorage.incidents.tally_store import TallyStore
from datastorage.incidents.write_service import IncidentWriteService
from datastorage.incidents.write_store import IncidentWriteStore
from datastorage.notifications.schemas import NotificationSchema
from datastorage.notifications.service import NotificationService
from datastorage.notifications.store import NotificationStore
from datastorage.partitions.store import PartitionStore
from datastorage.partitions.worker import MAINTENANCE_INTERVAL, RETRY_INTERVAL, PartitionWorker
from datastorage.platform.clock import Clock, utc_now
from datastorage.platform.db.database import Database, application_name
from datastorage.platform.loop import Loop
from datastorage.platform.metrics import Metrics
from datastorage.platform.server.readiness import ShutdownFlag
from datastorage.settings import RedisSettings, Settings
from datastorage.tables import SCHEMA_REVISION
from datastorage.workflows import schemas as workflow_schemas
from datastorage.workflows.listing import ListSchema
from datastorage.workflows.routes import WorkflowListing
from datastorage.workflows.search import WorkflowSearch
from datastorage.workflows.service import WorkflowService
from datastorage.workflows.store import WorkflowStore

T = TypeVar("T")

STOP_TIMEOUT = timedelta(seconds=1)
PROCESS_GAUGES_INTERVAL = timedelta(seconds=15)
"""A scrape is answered by one worker; the others measure themselves this often."""


@dataclass(slots=True)
class Services:
    """The objects of one process, by class, with what has to be started and closed."""

    by_class: dict[type, object] = field(default_factory=dict)
    loops: list[Loop | RetryWorker] = field(default_factory=list)
    starters: list[Callable[[], object]] = field(default_factory=list)
    closers: list[Callable[[], object]] = field(default_factory=list)

    def __getitem__(self, cls: type[T]) -> T:
        """Return the object of class ``cls``."""
        found = self.by_class[cls]
        assert isinstance(found, cls)  # noqa: S101 - filed by class below
        return found

    def add(self, *objects: object) -> None:
        """File objects by their class."""
        self.by_class.update({type(each): each for each in objects})

    def start(self) -> None:
        """Start the background work; after the fork, never before."""
        for loop in self.loops:
            loop.start()
        for start in self.starters:
            start()

    def close(self) -> None:
        """Stop the loops, then close what they and the views used, last opened first."""
        for loop in self.loops:
            loop.stop(STOP_TIMEOUT)
        for close in reversed(self.closers):
            close()


def build_services(
    settings: Settings, *, clock: Clock = utc_now, is_shutting_down: ShutdownFlag | None = None
) -> Services:
    """Construct everything one process needs. Nothing connects yet.

    Args:
        settings: the whole configuration.
        clock: the server's now; tests pass their own.
        is_shutting_down: the flag shared by all workers, one of its own when absent.
    """
    services = Services()
    services.add(services)
    event_schema = AuditEventSchema(settings.audit, settings.limits, clock)
    query_schema, export_schema = AuditQuerySchema(clock), AuditExportSchema(clock)
    notification_schema = NotificationSchema(clock)
    services.add(
        settings,
        event_schema,
        AuditBatch(event_schema, maximum=settings.audit.max_batch_size),
        AuditSearch(query_schema, export_schema),
        EventIdPath(),
        notification_schema,
    )
    fields = {*event_schema.fields, *query_schema.fields, *notification_schema.fields}
    fields |= incident_schemas.field_names() | incident_readers.FIELD_NAMES | tally_readers.FIELD_NAMES
    fields |= workflow_schemas.field_paths() | set(ListSchema().fields)
    metrics = Metrics(known_fields=frozenset(fields), extra_services=settings.audit.extra_event_categories)
    database = Database(
        settings.database,
        share=settings.database.max_open_conns // settings.server.workers,
        metrics=metrics,
        application_name=application_name(),
    )
    services.closers.append(database.close)
    services.loops.append(Loop("process gauges", metrics.update_process_gauges, PROCESS_GAUGES_INTERVAL))
    services.add(metrics, database)
    _add_queue(services, settings, clock)
    _add_features(services, settings, clock)
    _add_workflows(services, settings, clock)
    is_shutting_down = is_shutting_down or ShutdownFlag()
    _add_incidents(services, settings, clock, is_shutting_down)
    _add_health(services, settings, is_shutting_down)
    _add_replay(services, settings, clock)
    return services


def _add_queue(services: Services, settings: Settings, clock: Clock) -> None:
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


def _add_replay(services: Services, settings: Settings, clock: Clock) -> None:
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


def _add_features(services: Services, settings: Settings, clock: Clock) -> None:
    database, metrics = services[Database], services[Metrics]
    store = AuditStore(database, settings.audit, settings.database)
    writer = GroupWriter(store.append, max_wait_seconds=settings.audit.write_timeout.total_seconds())
    notifications = NotificationStore(database, settings.audit, settings.database)
    queue, attempts = services[DeadLetterQueue], WriteAttempts(services[CircuitBreaker], metrics)
    services.add(
        AuditService(
            store=store, writer=writer, queue=queue, attempts=attempts, metrics=metrics, clock=clock
        ),
        AuditReader(store, metrics),
        NotificationService(
            store=notifications, queue=queue, attempts=attempts, metrics=metrics, clock=clock
        ),
    )
    partitions = PartitionWorker(PartitionStore(database), settings, metrics, clock)
    services.loops.append(
        Loop("partitions", partitions.run_once, MAINTENANCE_INTERVAL, retry_interval=RETRY_INTERVAL)
    )


def _add_workflows(services: Services, settings: Settings, clock: Clock) -> None:
    metrics = services[Metrics]
    journal = Journal(services[AuditService], metrics)
    services.starters.append(journal.start)
    services.closers.append(journal.close)
    store = WorkflowStore(services[Database])
    maximum_event_bytes = settings.limits.max_event_data_bytes
    services.add(
        WorkflowService(store, journal, metrics, settings.workflows),
        WorkflowSearch(store, journal, metrics, clock, maximum_event_bytes=maximum_event_bytes),
        WorkflowListing(ListSchema()),
        *workflow_schemas.readers(),
    )


def _add_incidents(
    services: Services, settings: Settings, clock: Clock, is_shutting_down: ShutdownFlag
) -> None:
    database, metrics = services[Database], services[Metrics]
    new_incident = incident_schemas.NewIncidentSchema(clock)
    services.add(
        IncidentService(IncidentStore(database), settings.incidents, metrics, is_shutting_down),
        TallyService(TallyStore(database), metrics, clock),
        IncidentWriteService(IncidentWriteStore(database, settings.database), metrics),
        incident_readers.IncidentQuery(clock),
        incident_readers.IncidentExportQuery(clock),
        incident_readers.IncidentIdPath(),
        tally_readers.LegacyRateQuery(),
        tally_readers.NamespacesQuery(),
        tally_readers.SeveritiesQuery(),
        tally_readers.TrendQuery(),
        tally_readers.IncidentTypeRateQuery(),
        tally_readers.WorkflowRateQuery(),
        tally_readers.MultiDimensionalRateQuery(),
        new_incident,
        incident_schemas.IncidentBatch(new_incident),
        incident_schemas.OutcomeSchema(),
    )


def _add_health(services: Services, settings: Settings, is_shutting_down: ShutdownFlag) -> None:
    metrics = services[Metrics]
    database_probe = DatabaseProbe(services[Database])
    services.closers.append(database_probe.close)
    services.add(
        HealthService(
            Check(
                "database", database_probe, abort=database_probe.abort, on_finding=_database_finding(services)
            ),
            Check("redis", RedisProbe(services[redis.Redis]), on_finding=_sets(metrics.redis_up.set)),
            is_shutting_down=is_shutting_down,
            required_revision=SCHEMA_REVISION,
            readiness_requires_database=settings.server.readiness_requires_database,
        )
    )


def _database_finding(services: Services) -> Callable[[bool], None]:
    """A database that answers a health check closes the circuit, before any write has to probe it."""
    gauge, breaker = services[Metrics].db_up, services[CircuitBreaker]

    def tell(is_up: bool) -> None:  # noqa: FBT001 - the one argument of every finding
        gauge.set(1.0 if is_up else 0.0)
        if is_up:
            breaker.succeeded()

    return tell


def _sets(gauge: Callable[[float], None]) -> Callable[[bool], None]:
    return lambda is_up: gauge(1.0 if is_up else 0.0)


def redis_client(settings: RedisSettings) -> "redis.Redis":
    """Return a client that fails within its timeouts: the library's own retries would multiply them."""
    host, _, port = settings.addr.rpartition(":")
    return redis.Redis(
        host=host,
        port=int(port),
        db=settings.db,
        password=settings.password or None,
        ssl=settings.tls_enabled,
        socket_connect_timeout=settings.connect_timeout.total_seconds(),
        socket_timeout=settings.socket_timeout.total_seconds(),
        retry=Retry(NoBackoff(), 0),
    )
