"""The notification endpoint."""

from flask import Blueprint
from msgspec import Raw

from datastorage.notifications.model import Notification, NotificationParked, NotificationRecorded
from datastorage.notifications.schemas import (
    NotificationParkedSchema,
    NotificationRecordedSchema,
    NotificationSchema,
)
from datastorage.notifications.service import NotificationService
from datastorage.platform.web.contract import Answer, accepts, returns
from datastorage.platform.web.current import current

blueprint = Blueprint("notifications", __name__, url_prefix="/api/v1/audit/notifications")


def _as_it_is(recorded: NotificationRecorded) -> Raw:
    return Raw(recorded.text.encode("utf-8"))


@blueprint.post("")
@returns(
    Answer(NotificationRecorded, 201, NotificationRecordedSchema, "The record is committed.", body=_as_it_is),
    Answer(
        NotificationParked,
        202,
        NotificationParkedSchema,
        "The database cannot take it now; it is safe in the queue.",
    ),
    problems=("validation-error", "conflict", "service-unavailable"),
)
@accepts(NotificationSchema)
def create_notification(notification: Notification) -> NotificationRecorded | NotificationParked:
    """Write one notification delivery record."""
    return current(NotificationService).record(notification)
