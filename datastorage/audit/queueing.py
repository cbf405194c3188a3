"""Audit events on their way into the dead-letter queue and back."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec

from datastorage.audit.model import DEFAULT_RETENTION_DAYS, AuditEvent
from datastorage.platform.web.json import encode_exactly

_RENAMED = {"event_version": "version", "parent_date_hint": "parent_event_date"}
_LEFT_OUT = frozenset({"event_date", "has_client_id"})
_DOCUMENTS = ("event_data", "event_metadata")


class InvalidPayload(ValueError):
    """The payload is no event that could ever be stored."""


class _Payload(msgspec.Struct, kw_only=True):
    """The members of a queued event; what this service did not write itself is judged here."""

    event_id: UUID
    version: str = "1.0"
    event_timestamp: datetime
    event_type: str
    event_category: str
    event_action: str
    event_outcome: str
    correlation_id: str
    actor_type: str = "service"
    actor_id: str | None = None
    actor_ip: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    resource_name: str | None = None
    parent_event_id: UUID | None = None
    parent_event_date: date | None = None
    trace_id: str | None = None
    span_id: str | None = None
    namespace: str | None = None
    cluster_name: str | None = None
    event_data: dict[str, Any] | None = None
    event_metadata: dict[str, Any] | None = None
    severity: str | None = "info"
    duration_ms: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    retention_days: int = DEFAULT_RETENTION_DAYS
    is_sensitive: bool = False


def to_payload(event: AuditEvent) -> dict[str, Any]:
    """Return every column value of the row under the API's names; absent ones are left out.

    The client's hint about the date of the parent comes along: the parent is looked up again.
    """
    payload: dict[str, Any] = {}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if value is not None and name not in _LEFT_OUT:
            payload[_RENAMED.get(name, name)] = value
    for name in _DOCUMENTS:
        if name in payload:
            payload[name] = msgspec.Raw(payload[name].encode("utf-8"))
    return payload


def from_payload(payload: dict[str, Any]) -> AuditEvent:
    """Return the event, as fixed when it was acknowledged; its age is not judged again.

    Raises:
        InvalidPayload: a member is missing or has a type that no column takes.
    """
    try:
        found = msgspec.convert(payload, _Payload)
        members = {name: getattr(found, name) for name in found.__struct_fields__}
        at = found.event_timestamp
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        members["event_version"] = members.pop("version")
        members["parent_date_hint"] = members.pop("parent_event_date")
        return AuditEvent(
            **members
            | {
                "event_timestamp": at,
                "event_date": at.date(),
                "event_data": _document(found.event_data) or "{}",
                "event_metadata": _document(found.event_metadata),
                "actor_id": found.actor_id or f"{found.event_category}-service",
                "resource_type": found.resource_type or found.event_category,
                "resource_id": found.resource_id or found.correlation_id,
                "severity": found.severity or "info",
                "retention_days": found.retention_days or DEFAULT_RETENTION_DAYS,  # as clients may send it
                "has_client_id": True,
            }
        )
    except (ValueError, OverflowError) as error:
        raise InvalidPayload(str(error)) from error


def _document(value: dict[str, Any] | None) -> str | None:
    """Return JSON text, in which every number is the one that was acknowledged."""
    return None if value is None else encode_exactly(value).decode("utf-8")
