"""From the bytes of a request to an ``AuditEvent`` (BR-STORAGE-002, ADR-034)."""

from typing import Any

import marshmallow
from marshmallow import post_load, pre_load
from msgspec.structs import replace

from datastorage.audit.event import CATEGORIES_BY_CONTRACT, MEMBERS, AuditEvent, EventInstant, normalised
from datastorage.audit.identity import new_event_id
from datastorage.audit.model import EXAMPLE, MEANINGS
from datastorage.audit.parents import own_ancestors
from datastorage.errors import Fault, InvalidInput
from datastorage.platform.clock import Clock
from datastorage.platform.records import aliases_of, judges_of, members_of
from datastorage.platform.web import fields
from datastorage.platform.web.accept import PathContract, QuickContract
from datastorage.platform.web.contract import MAX_REPORTED_FAULTS, ArrayContract
from datastorage.platform.web.documents import JsonObject
from datastorage.platform.web.sizes import exceeds
from datastorage.settings import AuditSettings, LimitsSettings

ALIASES = aliases_of(MEMBERS)
"""Names that older clients use; the canonical name wins where both are sent."""

OWN_ANCESTOR = Fault("makes the event an ancestor of itself")

DOCUMENTS = tuple(each.wire for each in MEMBERS if each.is_document)
"""Members with JSON of any form; their size is bounded together."""


class AuditEventSchema(QuickContract):
    """One event as a client sends it."""

    resource = "audit_event"
    aliases = ALIASES
    glossary = MEANINGS
    example = EXAMPLE

    class Meta(QuickContract.Meta):
        """The members of an event that a client may send."""

        include = judges_of(members_of(AuditEvent))

    def __init__(self, audit: AuditSettings, limits: LimitsSettings, clock: Clock) -> None:
        super().__init__()
        self._maximum_bytes = limits.max_event_data_bytes
        self._clock = clock
        category = fields.field_of(self, "event_category", fields.Choice)
        category.choices = (
            *CATEGORIES_BY_CONTRACT[audit.category_contract],
            *audit.extra_event_categories,
        )
        timestamp = fields.field_of(self, "event_timestamp", EventInstant)
        timestamp.clock = clock
        timestamp.oldest, timestamp.ahead = limits.max_event_age, limits.max_event_ahead
        for name in DOCUMENTS:
            document = fields.field_of(self, name, JsonObject)
            document.maximum_bytes = limits.max_event_data_bytes
            document.maximum_depth = limits.max_event_data_depth

    def not_an_object(self) -> Fault:
        """Name the endpoint for several events."""
        return Fault("request body must be a JSON object (arrays go to /api/v1/audit/events/batch)")

    @pre_load
    def rename_aliases(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Use an alias where the canonical member is absent or ``null``."""
        if ALIASES.keys().isdisjoint(data):
            return data
        renamed = dict(data)
        for alias, name in ALIASES.items():
            if alias in data and renamed.get(name) is None:
                renamed[name] = data[alias]
        return renamed

    @marshmallow.validates_schema(skip_on_field_errors=False)
    def check_total_size(self, data: dict[str, Any], **_: Any) -> None:
        """Bound the documents together."""
        given = [data[name] for name in DOCUMENTS if data.get(name)]
        if len(given) > 1 and exceeds([each.encode("utf-8") for each in given], self._maximum_bytes):
            message = f"with event_metadata exceeds the maximum size of {self._maximum_bytes} bytes"
            raise marshmallow.ValidationError(Fault(message, "too_large"), field_name="event_data")

    @post_load
    def make_event(self, data: dict[str, Any], **_: Any) -> AuditEvent:
        """Apply every default and fix the identity: from here on only a person's name is put in."""
        data["has_client_id"] = data["event_id"] is not None
        data["has_client_actor_type"] = bool(data["actor_type"])
        data["has_client_actor_id"] = bool(data["actor_id"])
        data["event_id"] = data["event_id"] or new_event_id()
        data["received_at"] = self._clock()
        return normalised(data)


class AuditBatch(ArrayContract):
    """An array of 1 to ``audit.max_batch_size`` events."""

    def __init__(self, item: AuditEventSchema, *, maximum: int) -> None:
        super().__init__(item, resource="audit_events_batch", maximum=maximum)

    def read(self, data: Any) -> list[AuditEvent]:
        """Return the events in request order, all received at one time: when the last was judged.

        Raises:
            BatchSizeExceeded: more than ``maximum`` events; they are not looked at.
            InvalidInput: not an array, empty, any event at fault, or its own ancestor.
        """
        events: list[AuditEvent] = super().read(data)
        at_fault = own_ancestors(events)[:MAX_REPORTED_FAULTS]
        faults = {f"[{index}].parent_event_id": OWN_ANCESTOR for index in at_fault}
        if faults:
            raise InvalidInput.of_items(self.resource, faults)
        received_at = events[-1].received_at
        return [replace(event, received_at=received_at) for event in events]


class EventIdPath(PathContract):
    """The id in the path of one event."""

    resource = "audit_event"
    glossary = MEANINGS
    event_id = fields.Uuid(required=True)
