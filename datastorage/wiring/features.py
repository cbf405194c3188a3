"""The features: what their views ask for, and the background work they bring."""

from typing import Any

from datastorage.audit.journal import Journal
from datastorage.audit.parameters import AuditSearch
from datastorage.audit.parents import Parents
from datastorage.audit.reader import AuditReader
from datastorage.audit.schemas import AuditBatch, AuditEventSchema, EventIdPath
from datastorage.audit.service import AuditService
from datastorage.audit.store import AuditStore
from datastorage.audit.writer import GroupWriter
from datastorage.dlq.attempt import WriteAttempts
from datastorage.dlq.breaker import CircuitBreaker
from datastorage.dlq.service import DeadLetterQueue
from datastorage.incidents.aggregates import parameters as aggregate_parameters
from datastorage.incidents.aggregates.service import AggregateService
from datastorage.incidents.aggregates.store import AggregateStore
from datastorage.incidents.reading.parameters import IncidentExportQuery, IncidentIdPath, IncidentQuery
from datastorage.incidents.reading.service import IncidentService
from datastorage.incidents.reading.store import IncidentStore
from datastorage.incidents.writing import schemas as incident_schemas
from datastorage.incidents.writing.service import IncidentWriteService
from datastorage.incidents.writing.store import IncidentWriteStore
from datastorage.notifications.schemas import NotificationSchema
from datastorage.notifications.service import NotificationService
from datastorage.notifications.store import NotificationStore
from datastorage.partitions.store import PartitionStore
from datastorage.partitions.worker import MAINTENANCE_INTERVAL, RETRY_INTERVAL, PartitionWorker
from datastorage.platform.clock import Clock
from datastorage.platform.db.database import Database
from datastorage.platform.loop import Loop
from datastorage.platform.metrics import UNKNOWN, Metrics
from datastorage.platform.server.readiness import ShutdownFlag
from datastorage.platform.web.parameters import ParameterReader
from datastorage.settings import Settings, environment
from datastorage.wiring.services import Services
from datastorage.workflows import schemas as workflow_schemas
from datastorage.workflows.listing import ListSchema
from datastorage.workflows.routes import WorkflowListing
from datastorage.workflows.search import WorkflowSearch
from datastorage.workflows.service import WorkflowService
from datastorage.workflows.store import WorkflowStore


def add_audit(services: Services, settings: Settings, clock: Clock) -> None:
    """Add audit events, notifications and the care for their partitions."""
    database, metrics = services[Database], services[Metrics]
    store = AuditStore(database, settings.audit, settings.database)
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
        AuditReader(database, metrics),
        NotificationService(
            store=notifications, queue=queue, attempts=attempts, metrics=metrics, clock=clock
        ),
    )
    partitions = PartitionWorker(months, settings, metrics, clock)
    services.loops.append(
        Loop("partitions", partitions.run_once, MAINTENANCE_INTERVAL, retry_interval=RETRY_INTERVAL)
    )


def add_workflows(services: Services, settings: Settings, clock: Clock) -> None:
    """Add the workflow catalogue, whose own events need the audit service."""
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


def add_incidents(
    services: Services, settings: Settings, clock: Clock, is_shutting_down: ShutdownFlag
) -> None:
    """Add incidents: reading, aggregates and writing."""
    database, metrics = services[Database], services[Metrics]
    new_incident = incident_schemas.NewIncidentSchema(clock)
    services.add(
        IncidentService(IncidentStore(database), settings.incidents, metrics, is_shutting_down),
        AggregateService(AggregateStore(database), metrics, clock),
        IncidentWriteService(IncidentWriteStore(database, settings.database), metrics),
        IncidentIdPath(),
        *_incident_readers(clock),
        new_incident,
        incident_schemas.IncidentBatch(new_incident),
        incident_schemas.OutcomeSchema(),
    )


def _incident_readers(clock: Clock) -> list[ParameterReader[Any]]:
    return [
        IncidentQuery(clock),
        IncidentExportQuery(clock),
        aggregate_parameters.LegacyRateQuery(),
        aggregate_parameters.CountQuery(),
        aggregate_parameters.TrendQuery(),
        aggregate_parameters.IncidentTypeRateQuery(),
        aggregate_parameters.WorkflowRateQuery(),
        aggregate_parameters.MultiDimensionalRateQuery(),
    ]


def add_schemas(services: Services, settings: Settings, clock: Clock) -> Metrics:
    """Add what judges audit requests, and the metrics, whose labels are the names of all fields."""
    event_schema = AuditEventSchema(settings.audit, settings.limits, clock)
    search = AuditSearch(clock)
    notification_schema = NotificationSchema(clock)
    services.add(
        settings,
        event_schema,
        AuditBatch(event_schema, maximum=settings.audit.max_batch_size),
        search,
        EventIdPath(),
        notification_schema,
    )
    fields = {*event_schema.fields, *(each.name for each in search.parameters), *notification_schema.fields}
    fields |= incident_schemas.FIELD_NAMES | {"id"}
    fields |= {each.name for reader in _incident_readers(clock) for each in reader.parameters}
    fields |= workflow_schemas.field_paths() | set(ListSchema().fields)
    metrics = Metrics(
        known_fields=frozenset(fields),
        extra_services=settings.audit.extra_event_categories,
        revision=environment().get("IMAGE_REVISION", UNKNOWN),
    )
    services.add(metrics)
    return metrics
