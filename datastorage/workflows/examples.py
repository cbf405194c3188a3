"""Bodies of requests as the API document shows them."""

from typing import Any

_LABELS: dict[str, Any] = {
    "signal_type": "NodeDiskPressure",
    "severity": "high",
    "component": "node",
    "environment": "production",
    "priority": "P1",
}

NEW_WORKFLOW: dict[str, Any] = {
    "workflow_name": "prune-node-images",
    "version": "v1.2.0",
    "name": "Prune unused images on a full node",
    "description": "Frees disk space on a node under disk pressure",
    "owner": "storage-team",
    "content": "kind: WorkflowSchema\n",
    "content_hash": "095b7fbed95fc87acef8a87667044e39213ff2514e9c624cef361a779fa721c5",
    "execution_engine": "tekton",
    "labels": _LABELS,
    "custom_labels": {"team": ["name=storage"]},
    "detected_labels": {"gitOpsManaged": True, "gitOpsTool": "*"},
    "status": "active",
}
CHANGE: dict[str, Any] = {
    "status": "deprecated",
    "deprecation_notice": "use v1.3.0",
    "updated_by": "ops",
}
DISABLE: dict[str, Any] = {"reason": "fails on nodes with two disks", "updated_by": "ops"}
SEARCH: dict[str, Any] = {
    "filters": {**_LABELS, "detected_labels": {"gitOpsManaged": True}},
    "top_k": 3,
    "min_score": 0.5,
}
