"""Example bodies of the incident endpoints: read by the API document only."""

from typing import Any

NEW_INCIDENT: dict[str, Any] = {
    "action_id": "act-2026-0114",
    "action_type": "restart_pod",
    "action_timestamp": "2026-01-14T08:12:45Z",
    "signal_name": "HighMemoryUsage",
    "severity": "high",
    "model_used": "model-a",
    "model_confidence": 0.95,
    "resource_kind": "Deployment",
    "resource_name": "web",
    "namespace": "production",
}

OUTCOME: dict[str, Any] = {
    "execution_status": "completed",
    "execution_end_time": "2026-01-14T08:13:02Z",
    "execution_duration_ms": 17000,
}
