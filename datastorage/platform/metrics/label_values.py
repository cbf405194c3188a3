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

SERVICES: Final = (
    "gateway",
    "notification",
    "analysis",
    "signalprocessing",
    "workflow",
    "execution",
    "orchestration",
)
