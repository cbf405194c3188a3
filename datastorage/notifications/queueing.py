"""Delivery records on their way into the dead-letter queue and back."""

from typing import Any, Final

from datastorage.dlq.payload import Payload
from datastorage.notifications.model import Notification, normalised

_PAYLOAD: Final = Payload(Notification)

to_payload = _PAYLOAD.encode
"""Returns what is kept of a record."""


def from_payload(payload: dict[str, Any]) -> Notification:
    """Return the record as it was acknowledged.

    Raises:
        InvalidPayload: a member is missing or has a type that no column takes.
    """
    return normalised(_PAYLOAD.decode(payload))
