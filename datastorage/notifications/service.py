"""What is decided about a delivery record: whether it stands, waits in the queue, or is refused."""

import logging
from datetime import timedelta
from typing import Any

from datastorage.dlq.attempt import WriteAttempts
from datastorage.dlq.entry import EntryType
from datastorage.dlq.payload import InvalidPayload
from datastorage.dlq.replay import Replayed
from datastorage.dlq.service import DeadLetterQueue
from datastorage.dlq.write_log import LoggedWrite
from datastorage.errors import Conflict, DatabaseError, Fault, InvalidInput, QueueUnusable, RowRefused
from datastorage.notifications.model import Notification, NotificationParked, NotificationRecorded
from datastorage.notifications.queueing import from_payload, to_payload
from datastorage.notifications.store import NotificationStore
from datastorage.platform.clock import Clock
from datastorage.platform.metrics import Metrics

logger = logging.getLogger(__name__)

RESOURCE = "notification_audit"
SERVICE = "notification"


class NotificationService:
    """Records deliveries (BR-STORAGE-001, -017, -018).

    Args:
        store: the table.
        queue: where a write goes that the database could not take.
        attempts: tries the database.
        metrics: counts and lag of writes.
        clock: the server's now, for the lag.
    """

    def __init__(
        self,
        *,
        store: NotificationStore,
        queue: DeadLetterQueue,
        attempts: WriteAttempts,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._store = store
        self._queue = queue
        self._attempts = attempts
        self._metrics = metrics
        self._clock = clock

    def record(self, notification: Notification) -> NotificationRecorded | NotificationParked:
        """Commit one record, or queue it.

        Raises:
            Conflict: its ``notification_id`` is stored already.
            InvalidInput: PostgreSQL refuses a value for good.
            QueueUnusable: it is neither stored nor queued; the client keeps it and retries.
        """
        with LoggedWrite(logger, "Notification write finished", _fields(notification)) as line:
            try:
                stored = self._attempts.run(RESOURCE, lambda: self._store.append(notification))
            except RowRefused as refused:
                raise _refused(refused) from refused
            except DatabaseError as fault:
                return self._park(notification, fault, line)
            if stored is None:
                raise _conflict(notification)
            self._count_stored(notification)
            return NotificationRecorded(stored)

    def replay(self, payload: dict[str, Any]) -> Replayed:
        """Write a queued record again; the same record stored before counts as success.

        Raises:
            DatabaseError: it is not stored.
        """
        try:
            notification = from_payload(payload)
            stored = self._attempts.run(RESOURCE, lambda: self._store.append(notification), is_replay=True)
        except (InvalidPayload, RowRefused):
            return Replayed.INVALID
        if stored is not None:
            return Replayed.STORED
        return Replayed.DUPLICATE if self._store.is_stored(notification) else Replayed.CONFLICT

    def _park(
        self, notification: Notification, fault: DatabaseError, line: LoggedWrite
    ) -> NotificationParked:
        line.queued_for = fault.reason
        status = "dlq_fallback"
        try:
            self._queue.park(EntryType.NOTIFICATION_AUDIT, [to_payload(notification)], fault)
        except QueueUnusable:
            status = "failure"
            raise
        finally:
            self._metrics.audit_traces.labels(SERVICE, status).inc()
        return NotificationParked()

    def _count_stored(self, notification: Notification) -> None:
        lag = max(self._clock() - notification.sent_at, timedelta(0))
        self._metrics.audit_traces.labels(SERVICE, "success").inc()
        self._metrics.audit_lag_seconds.labels(SERVICE).observe(lag.total_seconds())


def _conflict(notification: Notification) -> Conflict:
    return Conflict(
        f"a notification with notification_id {notification.notification_id} is stored already",
        resource=RESOURCE,
        field="notification_id",
        value=notification.notification_id,
    )


def _refused(refused: RowRefused) -> InvalidInput:
    """Return the error of what validation let pass and PostgreSQL never will."""
    logger.error("PostgreSQL refused a validated notification", extra={"sqlstate": refused.sqlstate})
    fault = Fault("the record has a value that cannot be stored", "database_constraint")
    return InvalidInput.of(RESOURCE, {"body": fault})


def _fields(notification: Notification) -> dict[str, object]:
    return {
        "notification_id": notification.notification_id,
        "correlation_id": notification.remediation_id,
    }
