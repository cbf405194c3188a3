"""What the members of an audit event and the parameters of its query mean: read by the API document only."""

from typing import Any

GLOSSARY = {
    "event_id": "Identity of the event. A client that sends its own may repeat the request: the event is "
    "stored once. The nil UUID counts as absent; without an id the service makes one.",
    "version": "Version of the event's format, `1.0` today.",
    "event_type": "What happened, by convention `<service>.<subject>.<verb>`; any text is accepted.",
    "event_timestamp": "When it happened: RFC 3339 with a time zone, kept to the microsecond. At most seven "
    "days back and five minutes ahead of the server's clock, unless configured otherwise.",
    "event_date": "The UTC date of `event_timestamp`; the partition key.",
    "event_category": "The service that reports the event.",
    "event_action": "What was done.",
    "event_outcome": "How it ended.",
    "correlation_id": "Links all events of one remediation; compared exactly.",
    "parent_event_id": "An event that is stored already, or comes in the same batch with its own `event_id`.",
    "parent_event_date": "Date of the parent. In a request it only helps to find the parent faster.",
    "resource_type": "Kind of the thing acted upon; `event_category` when absent.",
    "resource_id": "Which one; `correlation_id` when absent.",
    "resource_name": "Its name for people.",
    "namespace": "Kubernetes namespace.",
    "cluster_name": "Kubernetes cluster.",
    "severity": "Free text, usually `info`, `warning`, `error` or `critical`; `info` when absent.",
    "duration_ms": "How long it took, in milliseconds.",
    "error_code": "Code of the error, if it failed.",
    "error_message": "The error in words.",
    "actor_type": "Kind of actor; `service` when absent.",
    "actor_id": "Who did it; `<event_category>-service` when absent.",
    "actor_ip": "From where; an IPv4 or IPv6 address without a zone.",
    "trace_id": "Trace of distributed tracing.",
    "span_id": "Span of distributed tracing.",
    "retention_days": "How long to keep it; 0 counts as absent and means 2555.",
    "is_sensitive": "Whether the payload needs care; `false` when absent.",
    "event_data": "The payload, any JSON object: by default at most 1 MiB as compact JSON, together with "
    "`event_metadata`, and 32 levels deep. Integers of any size are kept exactly.",
    "event_metadata": "Further JSON about the event itself; same limits as `event_data`.",
    "message": "The outcome in words.",
    "event_ids": "Identities in the order of the request.",
    "data": "The events of this page.",
    "pagination": "Where this page lies.",
    "limit": "Most rows that were asked for.",
    "offset": "Rows skipped; 0 with a cursor.",
    "total": "All matches of the filters, wherever the page lies; `null` when not asked for.",
    "has_more": "Whether rows follow.",
    "next_cursor": "Send it as `cursor` for the next page; `null` when nothing follows.",
}

PARAMETERS = {
    "since": "Not before this time: RFC 3339, a date (00:00 UTC), or a duration before now such as `24h` or "
    "`1h30m`, with the units d, h, m, s, ms, us, ns.",
    "until": "Not after this time; notation of `since`.",
    "limit": "Rows of a page; an export may ask for up to 100000 and gives 10000 unless told.",
    "offset": "Rows to skip; refused in an export and ignored with `cursor`.",
    "order": "Newest first (`desc`, unless told otherwise) or oldest first.",
    "include_total": "`false` skips the count, which is the slow part of a page; `total` is then `null`.",
    "cursor": "`next_cursor` of the page before, from the same query in the same order. Pages read this way "
    "never repeat a row and are as fast deep in the result as at its start.",
    "event_data_contains": "A JSON object that `event_data` has to contain, like PostgreSQL's `@>`.",
    "detail_key": "Name of a top-level member of `event_data`; needs `detail_value`.",
    "detail_value": "Text that this member has to equal.",
    "format": "`ndjson` streams one event per line instead of a page, like `Accept: application/x-ndjson`.",
}

EVENT_EXAMPLE: dict[str, Any] = {
    "version": "1.0",
    "event_type": "gateway.signal.received",
    "event_timestamp": "2026-01-14T09:12:45.120934+01:00",
    "event_category": "gateway",
    "event_action": "received",
    "event_outcome": "success",
    "correlation_id": "rr-2026-0114",
    "severity": "critical",
    "namespace": "payments",
    "event_data": {"alert_name": "EtcdHighCommitLatency", "is_duplicate": False},
}

STORED_EXAMPLE: dict[str, Any] = {
    "event_id": "0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11",
    "event_timestamp": "2026-01-14T08:12:45.120934Z",
    "event_date": "2026-01-14",
    "event_type": "gateway.signal.received",
    "version": "1.0",
    "event_category": "gateway",
    "event_action": "received",
    "event_outcome": "success",
    "correlation_id": "rr-2026-0114",
    "parent_event_id": None,
    "parent_event_date": None,
    "resource_type": "gateway",
    "resource_id": "rr-2026-0114",
    "namespace": "payments",
    "cluster_name": "",
    "severity": "critical",
    "duration_ms": None,
    "error_code": "",
    "error_message": "",
    "actor_id": "gateway-service",
    "actor_type": "service",
    "retention_days": 2555,
    "is_sensitive": False,
    "event_data": {"alert_name": "EtcdHighCommitLatency", "is_duplicate": False},
}
