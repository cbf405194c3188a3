"""What is decided about delivery records: a taken id is a conflict, a failed write is refused."""

import logging
from datetime import timedelta

from datastorage.errors import Conflict, DatabaseError, Fault, InvalidInput, RowRefused, Unavailable
from datastorage.notifications.model import Notification, NotificationRecorded
from datastorage.notifications.store import NotificationStore
from datastorage.platform.clock import Clock, monotonic_seconds
from datastorage.platform.metrics import Metrics

logger = logging.getLogger(__name__)

RESOURCE = "notification_audit"
SERVICE = "notification"
RETRY_AFTER_SECONDS = 5
_LEFT_OUT_WHEN_EMPTY = ("delivery_status", "error_message")


class NotificationService:
    """Records deliveries (BR-STORAGE-001).

    Args:
        store: the table.
        metrics: counts, durations and lag of writes.
        clock: the server's now, for the lag.
    """

    def __init__(self, store: NotificationStore, metrics: Metrics, clock: Clock) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock

    def record(self, notification: Notification) -> NotificationRecorded:
        """Commit one record.

        Raises:
            Conflict: its ``notification_id`` is stored already.
            InvalidInput: PostgreSQL refuses a value for good.
            Unavailable: it is not stored; the client keeps it and retries.
        """
        started = monotonic_seconds()
        status = "failure"
        try:
            stored = self._store.append(notification)
            status = "success"
        except RowRefused as refused:
            logger.error("PostgreSQL refused a validated record", extra={"sqlstate": refused.sqlstate})  # noqa: TRY400 - the refusal itself is answered and logged by the web layer
            fault = Fault("the record has a value that cannot be stored", "database_constraint")
            raise InvalidInput.of(RESOURCE, {"body": fault}) from refused
        except DatabaseError as error:
            raise Unavailable(
                "database unavailable - please retry",
                reason=error.reason,
                sqlstate=error.sqlstate,
                retry_after_seconds=RETRY_AFTER_SECONDS,
            ) from error
        finally:
            self._observe(notification, monotonic_seconds() - started, status)
        if stored is None:
            raise Conflict(
                f"a notification with notification_id {notification.notification_id} is stored already",
                resource=RESOURCE,
                field="notification_id",
                value=notification.notification_id,
            )
        self._count_stored(notification)
        left_out = {name for name in _LEFT_OUT_WHEN_EMPTY if not stored[name]}
        return NotificationRecorded({name: stored[name] for name in stored if name not in left_out})

    def _observe(self, notification: Notification, duration_seconds: float, status: str) -> None:
        self._metrics.write_duration_seconds.labels(RESOURCE).observe(duration_seconds)
        self._metrics.write.labels(RESOURCE, status).inc()
        if status == "failure":
            self._metrics.audit_traces.labels(SERVICE, "failure").inc()
        logger.log(
            logging.ERROR if status == "failure" else logging.INFO,
            "Notification write finished",
            extra={
                "notification_id": notification.notification_id,
                "correlation_id": notification.remediation_id,
                "duration_ms": round(duration_seconds * 1000, 3),
                "outcome": status,
            },
        )

    def _count_stored(self, notification: Notification) -> None:
        lag = max(self._clock() - notification.sent_at, timedelta(0))
        self._metrics.audit_traces.labels(SERVICE, "success").inc()
        self._metrics.audit_lag_seconds.labels(SERVICE).observe(lag.total_seconds())
