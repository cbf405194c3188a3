"""The closed lists of the incident API, in the order they are named and sorted."""

SEVERITIES = ("critical", "high", "medium", "low", "warning", "info")
INCIDENT_SEVERITIES = ("critical", "warning", "info")
EXECUTION_STATUSES = (
    "pending",
    "executing",
    "in_progress",
    "completed",
    "failed",
    "rolled-back",
    "cancelled",
)

SUCCEEDED = "completed"
"""The only status that counts as a success."""
FAILED = "failed"
"""The only status that counts as a failure; the others count in totals only."""
