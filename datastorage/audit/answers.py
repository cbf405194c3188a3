"""What the audit endpoints answer with; read by the API document only, never by the code that answers."""

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from marshmallow import Schema, fields

from datastorage.audit.event import MEMBERS
from datastorage.audit.schemas import EVENT_EXAMPLE
from datastorage.platform.db.row_json import shown_members
from datastorage.platform.records import Member, Shown, meanings_of

GLOSSARY = meanings_of(MEMBERS) | {
    "message": "The outcome in words.",
    "status": "Always `accepted`: kept in the queue until it is stored.",
    "count": "Number of events.",
    "event_ids": "Identities in the order of the request.",
    "data": "The events of this page.",
    "pagination": "Where this page lies.",
    "limit": "Most rows that were asked for.",
    "offset": "Rows skipped; 0 with a cursor.",
    "total": "All matches of the filters, wherever the page lies; `null` when not asked for.",
    "has_more": "Whether rows follow.",
    "next_cursor": "Send it as `cursor` for the next page; `null` when nothing follows.",
}

_STORED = EVENT_EXAMPLE | {
    "event_id": "0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11",
    "event_timestamp": "2026-01-14T08:12:45.120934Z",
    "event_date": "2026-01-14",
    "resource_type": "gateway",
    "resource_id": "rr-2026-0114",
    "actor_id": "gateway-service",
    "actor_type": "service",
    "retention_days": 2555,
    "is_sensitive": False,
}
STORED_EXAMPLE = {
    each.wire: _STORED.get(each.wire, "" if each.shown is Shown.BLANK else None)
    for each in shown_members(MEMBERS)
    if each.shown is not Shown.WHEN_SET
}


class RecordedSchema(Schema):
    """A stored event's identity."""

    glossary = GLOSSARY
    example: ClassVar[dict[str, Any]] = {
        "event_id": "0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11",
        "event_timestamp": "2026-01-14T08:12:45.120934Z",
        "message": "Audit event created successfully",
    }

    event_id = fields.UUID(required=True)
    event_timestamp = fields.DateTime(required=True)
    message = fields.String(required=True)


class BatchRecordedSchema(Schema):
    """The identities of a stored batch, in request order."""

    glossary = GLOSSARY
    example: ClassVar[dict[str, Any]] = {
        "event_ids": ["6b1e6f7a-2f5d-4a53-9a35-8a4a1c1f0d01", "0c9dd0c8-7f64-4c55-8a57-0f1a6f5d7702"],
        "message": "2 audit events created successfully",
    }

    event_ids = fields.List(fields.UUID(), required=True)
    message = fields.String(required=True)
    duplicates = fields.Integer(
        metadata={"description": "Events that had been stored before; left out when 0."}
    )


class ParkedSchema(Schema):
    """A queued event's identity: the one it will be stored under."""

    glossary = GLOSSARY

    status = fields.String(required=True)
    message = fields.String(required=True)
    event_id = fields.UUID(required=True)
    event_timestamp = fields.DateTime(required=True)


class BatchParkedSchema(Schema):
    """The identities of a queued batch, in request order."""

    glossary = GLOSSARY

    status = fields.String(required=True)
    message = fields.String(required=True)
    count = fields.Integer(required=True)
    event_ids = fields.List(fields.UUID(), required=True)


class PaginationSchema(Schema):
    """Where the page lies in the result."""

    glossary = GLOSSARY

    limit = fields.Integer(required=True)
    offset = fields.Integer(required=True)
    total = fields.Integer(required=True, allow_none=True)
    has_more = fields.Boolean(required=True)
    next_cursor = fields.String(required=True, allow_none=True)


_TYPES: dict[Any, type[fields.Field[Any]]] = {
    UUID: fields.UUID,
    datetime: fields.DateTime,
    date: fields.Date,
    int: fields.Integer,
    bool: fields.Boolean,
    str: fields.String,
}


def _shown(member: Member) -> fields.Field[Any]:
    kind = fields.Dict if member.is_document else _TYPES[member.type]
    may_be_null = member.is_optional and member.shown is Shown.ALWAYS
    return kind(required=member.shown is not Shown.WHEN_SET, allow_none=may_be_null or None)


class StoredEventSchema(Schema):
    """One event as reads return it."""

    glossary = GLOSSARY
    example: ClassVar[dict[str, Any]] = STORED_EXAMPLE

    class Meta:
        """The members of an event that answers have."""

        include: ClassVar[dict[str, Any]] = {each.wire: _shown(each) for each in shown_members(MEMBERS)}


class EventPageSchema(Schema):
    """One page of events."""

    glossary = GLOSSARY
    example: ClassVar[dict[str, Any]] = {
        "data": [STORED_EXAMPLE],
        "pagination": {"limit": 50, "offset": 0, "total": 1, "has_more": False, "next_cursor": None},
    }

    data = fields.List(fields.Nested(StoredEventSchema), required=True)
    pagination = fields.Nested(PaginationSchema, required=True)
