"""Lists of label values; user input, ids and names of callers are never among them."""

from typing import Final

UNKNOWN: Final = "unknown"
"""The label value for everything that is not on its list."""

AUTH_MODES: Final = ("none", "proxy", "kubernetes", "jwt", "static", UNKNOWN)
AUTH_RESULTS: Final = ("accepted", "stale", "unauthenticated", "forbidden", "unavailable")
AUTH_REVIEWS: Final = ("token", "access", "keys")
AUTH_REFUSALS: Final = (
    "missing_auth_header",
    "invalid_auth_format",
    "empty_bearer_token",
    "invalid_token",
    "expired_token",
    "invalid_token_audience",
    "invalid_identity_header",
    "authorization_denied",
    "review_unavailable",
    "failure_limit",
    "rate_limit",
    "csrf_failed",
    "session_invalid",
)
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
PERMISSIONS: Final = ("identity", "read", "export", "write", "admin")

SERVICES: Final = (
    "gateway",
    "notification",
    "analysis",
    "signalprocessing",
    "aiagent",
    "workflowexecution",
    "approval",
    "effectiveness",
    "actiontype",
    "apifrontend",
    "security",
    "agentsession",
    "workflow",
    "execution",
    "orchestration",
)
RETRY_RESULTS: Final = ("success", "duplicate", "entry_failure", "infrastructure", "dead_letter")
DEAD_LETTER_REASONS: Final = ("max_retries", "max_deliveries", "unparseable", "conflict", "invalid")
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

LEDGER_STATES: Final = ("ok", "unsigned", "behind", "stopped", "off")
PROOF_RESULTS: Final = ("ok", "not_sealed", "unsigned", "not_found")
TARGET_KINDS: Final = ("file", "https", "witness")
DIFFERENCES: Final = (
    "event_without_leaf", "leaf_without_event", "digest", "duplicate", "statement", "tree",
)  # fmt: skip
WRITTEN_TABLES: Final = (
    "audit_events",
    "audit_events_batch",
    "notification_audit",
    "remediation_workflow_catalog",
    "resource_action_traces",
)
