"""From the bytes of a request to an ``AuditEvent`` (BR-STORAGE-002, ADR-034), and what answers look like.

The order of the fields is the order in which faults are reported.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

import marshmallow
from marshmallow import post_load, pre_load

from datastorage.audit.accepting import ShortWay, judged_fields
from datastorage.audit.glossary import EVENT_EXAMPLE, GLOSSARY
from datastorage.audit.identity import new_event_id
from datastorage.audit.model import DEFAULT_RETENTION_DAYS, AuditEvent
from datastorage.errors import Fault
from datastorage.platform.clock import Clock
from datastorage.platform.web import fields
from datastorage.platform.web.contract import ArrayContract, Contract
from datastorage.settings import AuditSettings, LimitsSettings

CATEGORIES = (
    "gateway",
    "notification",
    "analysis",
    "signalprocessing",
    "workflow",
    "execution",
    "orchestration",
)
OUTCOMES = ("success", "failure", "pending")
INT32 = 2**31

ALIASES = {
    "service": "event_category",
    "operation": "event_action",
    "outcome": "event_outcome",
    "event_version": "version",
    "resource_namespace": "namespace",
    "cluster_id": "cluster_name",
}
"""Names that older clients use; the canonical name wins where both are sent."""


class EventInstant(fields.Instant):
    """A timestamp within the accepted window around the server's clock, both ends inclusive."""

    clock: Clock
    oldest: timedelta | None = None
    ahead: timedelta | None = None

    def judge(self, value: Any) -> datetime:
        """Refuse what lies outside the window; a bound of ``None`` is not checked."""
        at = super().judge(value)
        now = self.clock()
        if self.ahead is not None and at > now + self.ahead:
            message = f"timestamp is in the future (server time: {_rfc3339(now)}, event time: {_rfc3339(at)})"
            raise fields.refuse(message, "timestamp_future")
        if self.oldest is not None and at < now - self.oldest:
            days = f"{self.oldest / timedelta(days=1):g}"
            message = f"timestamp is too old (must be within {days} days, age: {now - at})"
            raise fields.refuse(message, "timestamp_too_old")
        return at


class AuditEventSchema(Contract):
    """One event as a client sends it."""

    resource = "audit_event"
    aliases = ALIASES
    glossary = GLOSSARY
    example = EVENT_EXAMPLE

    version = fields.Text(required=True, maximum=20)
    event_type = fields.Text(required=True, maximum=100)
    event_timestamp = EventInstant(required=True)
    event_category = fields.Choice(CATEGORIES, required=True, maximum=50)
    event_action = fields.Text(required=True, maximum=50)
    event_outcome = fields.Choice(OUTCOMES, required=True, maximum=20)
    correlation_id = fields.Text(required=True, maximum=255)
    event_data = fields.JsonObject(required=True, maximum_bytes=1 << 20, maximum_depth=32)
    actor_type = fields.Text(maximum=50)
    actor_id = fields.Text(maximum=255)
    resource_type = fields.Text(maximum=100)
    resource_id = fields.Text(maximum=255)
    parent_event_id = fields.Uuid()
    namespace = fields.Text(maximum=253)
    cluster_name = fields.Text(maximum=255)
    severity = fields.Text(maximum=20)
    duration_ms = fields.Integer(minimum=-INT32, maximum=INT32 - 1)
    event_id = fields.Uuid()
    parent_event_date = fields.DateHint()
    actor_ip = fields.IpAddress()
    resource_name = fields.Text(maximum=255)
    trace_id = fields.Text(maximum=255)
    span_id = fields.Text(maximum=255)
    event_metadata = fields.JsonObject(maximum_bytes=1 << 20, maximum_depth=32)
    error_code = fields.Text(maximum=50)
    error_message = fields.Text(maximum=65536)
    retention_days = fields.Integer(minimum=1, maximum=DEFAULT_RETENTION_DAYS, zero_is_absent=True)
    is_sensitive = fields.Boolean()

    def __init__(self, audit: AuditSettings, limits: LimitsSettings, clock: Clock) -> None:
        super().__init__()
        self._maximum_bytes = limits.max_event_data_bytes
        category = self.fields["event_category"]
        assert isinstance(category, fields.Choice)  # noqa: S101 - tells mypy what is declared above
        category.choices = (*CATEGORIES, *audit.extra_event_categories)
        timestamp = self.fields["event_timestamp"]
        assert isinstance(timestamp, EventInstant)  # noqa: S101 - as above
        timestamp.clock, timestamp.oldest, timestamp.ahead = (
            clock,
            limits.max_event_age,
            limits.max_event_ahead,
        )
        for name in ("event_data", "event_metadata"):
            payload = self.fields[name]
            assert isinstance(payload, fields.JsonObject)  # noqa: S101 - as above
            payload.maximum_bytes = limits.max_event_data_bytes
            payload.maximum_depth = limits.max_event_data_depth
        self._short_way = ShortWay(self, judged_fields(self))

    def faults_or_loaded(self, data: dict[str, Any]) -> Any:
        """Take the short way; what it does not accept is explained."""
        accepted = self._short_way.accept(data)
        return super().faults_or_loaded(data) if accepted is None else accepted

    def not_an_object(self) -> Fault:
        """Send callers with several events on to the endpoint for them."""
        return Fault("request body must be a JSON object (arrays go to /api/v1/audit/events/batch)")

    @pre_load
    def rename_aliases(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Use an alias where the canonical member is absent or ``null``."""
        used = [alias for alias in ALIASES if alias in data]
        if not used:
            return data
        renamed = dict(data)
        for alias in used:
            if renamed.get(ALIASES[alias]) is None:
                renamed[ALIASES[alias]] = renamed[alias]
        return renamed

    @marshmallow.validates_schema(skip_on_field_errors=False)
    def check_total_size(self, data: dict[str, Any], **_: Any) -> None:
        """Bound ``event_data`` and ``event_metadata`` together."""
        texts = [data[name] for name in ("event_data", "event_metadata") if data.get(name)]
        if len(texts) > 1 and sum(len(text.encode("utf-8")) for text in texts) > self._maximum_bytes:
            message = f"with event_metadata exceeds the maximum size of {self._maximum_bytes} bytes"
            raise marshmallow.ValidationError(Fault(message, "too_large"), field_name="event_data")

    @post_load
    def make_event(self, data: dict[str, Any], **_: Any) -> AuditEvent:
        """Apply every default and fix the identity: from here on the event does not change."""
        given_id = data.pop("event_id")
        category = data["event_category"]
        return AuditEvent(
            event_id=given_id or new_event_id(),
            has_client_id=given_id is not None,
            event_version=data.pop("version"),
            event_date=data["event_timestamp"].date(),
            parent_date_hint=data.pop("parent_event_date"),
            actor_type=data.pop("actor_type") or "service",
            actor_id=data.pop("actor_id") or f"{category}-service",
            resource_type=data.pop("resource_type") or category,
            resource_id=data.pop("resource_id") or data["correlation_id"],
            severity=data.pop("severity") or "info",
            retention_days=data.pop("retention_days") or DEFAULT_RETENTION_DAYS,
            is_sensitive=data.pop("is_sensitive") or False,
            **data,
        )


class AuditBatch(ArrayContract):
    """An array of 1 to ``audit.max_batch_size`` events."""

    item_schema: ClassVar[type[Contract]] = AuditEventSchema

    def __init__(self, item: AuditEventSchema, *, maximum: int) -> None:
        super().__init__(item, resource="audit_events_batch", maximum=maximum)


class EventIdPath(Contract):
    """The id in the path of one event."""

    resource = "audit_event"
    glossary = GLOSSARY
    event_id = fields.Uuid(required=True)

    @post_load
    def make_id(self, data: Mapping[str, Any], **_: Any) -> uuid.UUID:
        """Return the id itself."""
        event_id: uuid.UUID = data["event_id"]
        return event_id


def _rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
