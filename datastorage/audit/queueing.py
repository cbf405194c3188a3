"""Audit events on their way into the dead-letter queue and back."""

from typing import Any, Final

from datastorage.audit.event import AuditEvent, normalised
from datastorage.dlq.payload import Payload

_PAYLOAD: Final = Payload(AuditEvent)

to_payload = _PAYLOAD.encode
"""Returns what is kept of an event; what its client said of the parent's date comes along."""


def from_payload(payload: dict[str, Any]) -> AuditEvent:
    """Return the event as it was acknowledged; its id makes the write idempotent.

    Raises:
        InvalidPayload: a member is missing or has a type that no column takes.
    """
    return normalised(_PAYLOAD.decode(payload) | {"has_client_id": True})
