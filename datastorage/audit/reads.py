"""The event that a read of audit records leaves behind (access.md 8.2)."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from datastorage.audit.attribution import USER
from datastorage.audit.event import AuditEvent, normalised
from datastorage.audit.identity import new_event_id
from datastorage.audit.journal import Journal
from datastorage.platform.access.identity import Kind
from datastorage.platform.clock import Clock
from datastorage.platform.metrics import Metrics
from datastorage.platform.web import json
from datastorage.platform.web.audited_reads import Read

EVENT_TYPE: Final = "datastorage.audit.read"
MAX_ID_CHARS: Final = 255

_FIRST_REFUSAL: Final = 400


class ReadTrail:
    """Puts reads into the journal.

    Args:
        journal: writes events in the background.
        metrics: counts what it takes over; what it loses ``loss_counter`` counts.
        clock: the server's now, the time of the event.
    """

    def __init__(self, journal: Journal, metrics: Metrics, clock: Clock) -> None:
        self._journal = journal
        self._metrics = metrics
        self._clock = clock

    def write(self, read: Read) -> None:
        """Hand the event of a read over; returns at once and raises nothing."""
        if self._journal.submit(event_of(read, self._clock()), is_dispensable=True):
            self._metrics.audit_reads.labels("submitted").inc()


def loss_counter(metrics: Metrics) -> Callable[[AuditEvent], None]:
    """Return what counts an event that the journal loses, if it is that of a read."""

    def count(event: AuditEvent) -> None:
        if event.event_type == EVENT_TYPE:
            metrics.audit_reads.labels("dropped").inc()

    return count


def event_of(read: Read, at: datetime) -> AuditEvent:
    """Return the event of a read that was answered ``at`` this time."""
    return normalised(
        {
            "event_id": new_event_id(),
            # The journal may write it twice when an outcome is unknown; its id makes that once.
            "has_client_id": True,
            "event_timestamp": at,
            "received_at": at,
            "event_type": EVENT_TYPE,
            # Existing clients know a closed list of categories, and none fits better.
            "event_category": "workflow",
            "event_action": "read",
            "event_outcome": "success" if read.status < _FIRST_REFUSAL else "failure",
            "actor_type": "service" if read.reader.kind is Kind.SERVICE else USER,
            "actor_id": read.reader.name,
            "resource_type": "audit_record",
            "resource_id": "*" if read.asked_for is None else read.asked_for[:MAX_ID_CHARS],
            # An id of its own: the time line of a remediation does not grow because it is read.
            "correlation_id": f"read-{read.request_id}",
            "event_data": json.encode(_data(read)).decode("utf-8"),
        }
    )


def _data(read: Read) -> dict[str, Any]:
    return {
        "event_type": EVENT_TYPE,
        "method": read.method,
        "route": read.route,
        "status": read.status,
        "rows": read.rows,
        "filters": read.filters,
        "remote_addr": read.remote_addr,
        "mode": read.reader.mode,
        "request_id": read.request_id,
    }
