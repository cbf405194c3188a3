"""The notification endpoint."""

from operator import attrgetter

from flask import Blueprint

from datastorage.notifications.model import Notification, NotificationParked, NotificationRecorded
from datastorage.notifications.schemas import RECORDED, NotificationSchema
from datastorage.notifications.service import NotificationService
from datastorage.platform.access.permissions import Permission
from datastorage.platform.web.current import current
from datastorage.platform.web.operations import Answer, operation

blueprint = Blueprint("notifications", __name__, url_prefix="/api/v1/audit/notifications")

QUEUED = "The database cannot take it now; it is safe in the queue."


@blueprint.post("")
@operation(
    Permission.WRITE,
    body=NotificationSchema,
    answers=(
        Answer(NotificationRecorded, 201, RECORDED, "The record is committed.", body=attrgetter("row")),
        Answer(NotificationParked, 202, NotificationParked, QUEUED),
    ),
    problems=("validation-error", "conflict", "service-unavailable"),
)
def create_notification(notification: Notification) -> NotificationRecorded | NotificationParked:
    """Write one notification delivery record."""
    return current(NotificationService).record(notification)
