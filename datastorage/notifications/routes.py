"""The notification endpoint."""

from flask import Blueprint
from msgspec import Raw

from datastorage.notifications.model import Notification, NotificationParked, NotificationRecorded
from datastorage.notifications.schemas import RECORDED, NotificationSchema
from datastorage.notifications.service import NotificationService
from datastorage.platform.web.current import current
from datastorage.platform.web.operations import Answer, operation
from datastorage.platform.web.permissions import Permission

blueprint = Blueprint("notifications", __name__, url_prefix="/api/v1/audit/notifications")

QUEUED = "The database cannot take it now; it is safe in the queue."


def _as_it_is(recorded: NotificationRecorded) -> Raw:
    return Raw(recorded.text.encode("utf-8"))


@blueprint.post("")
@operation(
    Permission.WRITE,
    body=NotificationSchema,
    answers=(
        Answer(NotificationRecorded, 201, RECORDED, "The record is committed.", body=_as_it_is),
        Answer(NotificationParked, 202, NotificationParked, QUEUED),
    ),
    problems=("validation-error", "conflict", "service-unavailable"),
)
def create_notification(notification: Notification) -> NotificationRecorded | NotificationParked:
    """Write one notification delivery record."""
    return current(NotificationService).record(notification)
