"""What the audit endpoints answer with; read by the API document only, never by the code that answers."""

from typing import Any, ClassVar

from marshmallow import Schema, fields

from datastorage.audit.glossary import GLOSSARY, STORED_EXAMPLE


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


class StoredEventSchema(Schema):
    """One event as reads return it."""

    glossary = GLOSSARY
    example: ClassVar[dict[str, Any]] = STORED_EXAMPLE

    event_id = fields.UUID(required=True)
    event_timestamp = fields.DateTime(required=True)
    event_date = fields.Date(required=True)
    event_type = fields.String(required=True)
    version = fields.String(required=True)
    event_category = fields.String(required=True)
    event_action = fields.String(required=True)
    event_outcome = fields.String(required=True)
    correlation_id = fields.String(required=True)
    parent_event_id = fields.UUID(required=True, allow_none=True)
    parent_event_date = fields.Date(required=True, allow_none=True)
    resource_type = fields.String(required=True)
    resource_id = fields.String(required=True)
    namespace = fields.String(required=True)
    cluster_name = fields.String(required=True)
    severity = fields.String(required=True)
    duration_ms = fields.Integer(required=True, allow_none=True)
    error_code = fields.String(required=True)
    error_message = fields.String(required=True)
    actor_id = fields.String(required=True)
    actor_type = fields.String(required=True)
    retention_days = fields.Integer(required=True)
    is_sensitive = fields.Boolean(required=True)
    event_data = fields.Dict(required=True)
    actor_ip = fields.String()
    resource_name = fields.String()
    trace_id = fields.String()
    span_id = fields.String()
    event_metadata = fields.Dict()


class EventPageSchema(Schema):
    """One page of events."""

    glossary = GLOSSARY
    example: ClassVar[dict[str, Any]] = {
        "data": [STORED_EXAMPLE],
        "pagination": {"limit": 50, "offset": 0, "total": 1, "has_more": False, "next_cursor": None},
    }

    data = fields.List(fields.Nested(StoredEventSchema), required=True)
    pagination = fields.Nested(PaginationSchema, required=True)
