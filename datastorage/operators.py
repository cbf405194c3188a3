"""Commands that need other features: ``dlq`` the write path, ``auth`` access control, ``ledger`` months."""

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

import msgspec

from datastorage.access.cli import build_group as build_auth_group
from datastorage.audit.event import DEFAULT_RETENTION_DAYS, AuditEvent
from datastorage.audit.service import AuditService
from datastorage.dlq.cli import build_group
from datastorage.dlq.cli.backing import Backing, Discard, Replaying
from datastorage.dlq.replay import Replayer
from datastorage.dlq.stream import RedisQueue
from datastorage.health.service import HealthService
from datastorage.ledger.cli import build_group as build_ledger_group
from datastorage.platform.clock import utc_now
from datastorage.platform.metrics import Metrics
from datastorage.platform.redis import redis_client
from datastorage.settings import Settings
from datastorage.wiring import build_services
from datastorage.wiring.access import control_of
from datastorage.wiring.features import destination_of
from datastorage.wiring.ledger import attached_months


@contextmanager
def replaying(settings: Settings, queue: RedisQueue) -> Iterator[Replaying]:
    """Yield what writes queued records again, through the same path as the service."""
    with closing(build_services(settings)) as services:
        metrics = services[Metrics]
        replayer = Replayer(queue, destination_of(services), settings.redis, metrics, utc_now)
        yield Replaying(replayer, services[HealthService].database_answers, metrics)


def record_discard(settings: Settings, discard: Discard) -> None:
    """Record in the audit trail who discarded a dead letter, and why.

    Raises:
        DataStorageError: the event was not recorded, so nothing may be discarded.
    """
    now = utc_now()
    facts = {
        "stream": discard.stream.value,
        "entry_id": discard.entry_id,
        "record_id": discard.record_id,
        "failure": discard.failure,
        "reason": discard.reason,
    }
    event = AuditEvent(
        event_id=uuid.uuid4(),
        event_version="1.0",
        event_timestamp=now,
        event_date=now.date(),
        received_at=now,
        event_type="datastorage.dlq.discarded",
        event_category="orchestration",
        event_action="discarded",
        event_outcome="success",
        actor_type="operator",
        actor_id=discard.by,
        resource_type="dead_letter",
        resource_id=discard.record_id or discard.entry_id,
        correlation_id=discard.correlation_id or f"dlq-{discard.entry_id}",
        event_data=msgspec.json.encode(facts).decode("utf-8"),
        severity="warning",
        retention_days=DEFAULT_RETENTION_DAYS,
        is_sensitive=False,
    )
    with closing(build_services(settings)) as services:
        services[AuditService].record(event)


auth = build_auth_group(control_of)
ledger = build_ledger_group(attached_months)
dlq = build_group(Backing(connect=redis_client, replaying=replaying, record_discard=record_discard))
