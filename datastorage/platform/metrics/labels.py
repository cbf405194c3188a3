"""The values a label may take. A label value is never user input, an id or an error text."""

from collections.abc import Collection
from typing import Final

UNKNOWN: Final = "unknown"
"""What a value outside its list is counted as."""

SERVICES: Final = (
    "gateway",
    "notification",
    "analysis",
    "signalprocessing",
    "workflow",
    "execution",
    "orchestration",
)
WRITTEN_TABLES: Final = (
    "audit_events",
    "audit_events_batch",
    "notification_audit",
    "remediation_workflow_catalog",
    "resource_action_traces",
)
OPERATIONS: Final = ("list", "get", "aggregate", "export", "audit_events", "search")
OUTCOMES: Final = ("success", "failure")
TRACE_OUTCOMES: Final = ("success", "failure", "dlq_fallback")
VALIDATION_REASONS: Final = (
    "required",
    "invalid",
    "length_exceeded",
    "whitespace_only",
    "invalid_json",
    "not_array",
    "empty_batch",
    "batch_too_large",
    "timestamp_future",
    "timestamp_too_old",
    "parent_not_found",
    "invalid_event_data",
    "too_large",
    "database_constraint",
    "mismatch",
    UNKNOWN,
)
DB_ERROR_REASONS: Final = (
    "db_unreachable",
    "db_overloaded",
    "pool_timeout",
    "timeout",
    "disk_full",
    "read_only",
    "misconfigured",
    "schema_mismatch",
    "partition_missing",
    "lock_timeout",
    "storage_error",
    "partition_failed",
    "contention",
    "batch_rollback",
    UNKNOWN,
)
DB_RENEWAL_REASONS: Final = ("read_only", "shutdown", "lost", "plan")
WORKER_EXITS: Final = ("exit", "signal", "timeout")
LOG_LINES: Final = ("access", "other")

STREAMS: Final = ("events", "notifications")
QUEUED_TYPES: Final = (("events", "audit_event"), ("notifications", "notification_audit"))
ENQUEUE_FAILURES: Final = (
    "redis_unavailable",
    "timeout",
    "oom",
    "readonly",
    "auth",
    "loading",
    "full",
    "too_large",
    "not_durable",
    "other",
)
RETRY_RESULTS: Final = ("success", "duplicate", "entry_failure", "infrastructure", "dead_letter")
DEAD_LETTER_REASONS: Final = ("max_retries", "max_deliveries", "unparseable", "conflict", "invalid")
REPLAY_FAULTS: Final = ("unparseable", "invalid")


def label_or_unknown(value: str, known: Collection[str]) -> str:
    """Return ``value`` if it is one of ``known``, else ``unknown``."""
    return value if value in known else UNKNOWN
