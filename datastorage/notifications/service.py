"""What is decided about a delivery record: whether it stands, waits in the queue, or is refused."""

import logging
from operator import attrgetter
from typing import Any, Final

from msgspec import Raw

from datastorage.dlq.attempt import WriteAttempts
from datastorage.dlq.entry import EntryType
from datastorage.dlq.payload import InvalidPayload
from datastorage.dlq.replay import Replayed
from datastorage.dlq.service import DeadLetterQueue
from datastorage.dlq.write import Kind, StoreOrQueue
from datastorage.errors import Conflict, Fault, InvalidInput, RowRefused
from datastorage.notifications.model import (
    Notification,
    NotificationParked,
    NotificationRecorded,
    from_payload,
    to_payload,
)
from datastorage.notifications.store import NotificationStore
from datastorage.platform.clock import Clock
from datastorage.platform.metrics import Metrics

logger = logging.getLogger(__name__)

RESOURCE = "notification_audit"
UNSTORABLE = Fault("the record has a value that cannot be stored", "database_constraint")

KIND: Final[Kind[Notification]] = Kind(
    entry_type=EntryType.NOTIFICATION_AUDIT,
    payload=to_payload,
    service=lambda _: "notification",
    happened_at=attrgetter("sent_at"),
    message="Notification write finished",
    log_fields=lambda records: {
        "notification_id": records[0].notification_id,
        "correlation_id": records[0].remediation_id,
    },
)


class NotificationService:
    """Records deliveries (BR-STORAGE-001, -017, -018)."""

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
        self._attempts = attempts
        self._writes = StoreOrQueue(KIND, queue, metrics, clock, logger)

    def record(self, notification: Notification) -> NotificationRecorded | NotificationParked:
        """Commit one record, or queue it.

        Raises:
            Conflict: its ``notification_id`` is stored already.
            InvalidInput: PostgreSQL refuses a value for good.
            QueueUnusable: it is neither stored nor queued; the client keeps it and retries.
        """
        return self._writes.write([notification], lambda: self._store_one(notification), NotificationParked)

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

    def _store_one(self, notification: Notification) -> NotificationRecorded | NotificationParked:
        try:
            stored = self._attempts.run(RESOURCE, lambda: self._store.append(notification))
        except RowRefused as refused:
            extra = {"sqlstate": refused.sqlstate}
            logger.error("PostgreSQL refused a validated notification", extra=extra)
            raise InvalidInput.of(RESOURCE, {"body": UNSTORABLE}) from refused
        if stored is None:
            raise Conflict(
                f"a notification with notification_id {notification.notification_id} is stored already",
                resource=RESOURCE,
                field="notification_id",
                value=notification.notification_id,
            )
        self._writes.count_stored([notification], [notification])
        return NotificationRecorded(Raw(stored.encode("utf-8")))
