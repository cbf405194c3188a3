"""What the members and parameters of the workflow endpoints mean: read by the API document only."""

from typing import Any

LABELS = {
    "signal_type": "The signal it reacts to, such as `OOMKilled`; compared exactly, never `*`.",
    "severity": "How bad the signal is.",
    "component": "Kind of the resource at fault, such as `pod` or `node`; `*` is any.",
    "environment": "Where it may run, such as `production`; `*` is any.",
    "priority": "Business priority; `*` is any.",
    "custom_labels": "Labels of the customer: up to 10 subdomains with up to 5 values each.",
    "detected_labels": "What a workload was found to be, or what the workflow supports.",
}

GLOSSARY = LABELS | {
    "workflow_id": "Identity of this version.",
    "workflow_name": "Name that all versions share.",
    "version": "Version; unique among those of the name, any text.",
    "name": "Title for people.",
    "description": "What it does, for people and for models that choose.",
    "owner": "The team it belongs to.",
    "maintainer": "Whom to ask.",
    "content": "The workflow itself, kept exactly as sent.",
    "content_hash": "SHA-256 of `content` in hexadecimal.",
    "parameters": "JSON Schema or any other JSON about its parameters.",
    "execution_engine": "What runs it, such as `tekton`.",
    "container_image": "Image that holds it.",
    "container_digest": "Digest of the image.",
    "labels": "The five labels that a search compares first.",
    "status": "A search finds `active` workflows; the others, `disabled` among them, only on request.",
    "status_reason": "Why it has this status.",
    "disabled_at": "When it was disabled.",
    "disabled_by": "Who disabled it.",
    "disabled_reason": "Why it was disabled.",
    "previous_version": "The version that this one follows.",
    "deprecation_notice": "What to use instead.",
    "version_notes": "What is to know about this version.",
    "change_summary": "What changed since the version before.",
    "approved_by": "Who approved it.",
    "approved_at": "When it was approved.",
    "expected_success_rate": "Share of executions expected to succeed, 0 to 1.",
    "expected_duration_seconds": "How long it is expected to take.",
    "actual_success_rate": "Share of executions that did succeed, 0 to 1.",
    "total_executions": "How often it ran.",
    "successful_executions": "How often it succeeded; at most `total_executions`.",
    "created_at": "When it was registered.",
    "created_by": "Who registered it.",
    "updated_at": "When it last changed.",
    "updated_by": "Who changes it.",
    "reason": "Why it changes.",
    "filters": "The labels to look for.",
    "remediation_id": "The remediation that searches; the correlation id of the audit event about it.",
    "top_k": "Most results wanted, best first; 10 when absent.",
    "min_score": "Lowest score wanted, 0 to 1.",
    "include_disabled": "Whether disabled workflows may be found too.",
    "explain": "Whether to say how each score came about and what was nearly found.",
}

PARAMETERS = {
    **{name: f"Keeps the workflows whose label `{name}` is exactly this." for name in LABELS},
    "status": "Keeps the workflows with this status.",
    "workflow_name": "Keeps the versions of this name.",
    "limit": "Rows of a page.",
    "offset": "Rows to skip.",
}

_LABELS_EXAMPLE: dict[str, Any] = {
    "signal_type": "NodeDiskPressure",
    "severity": "high",
    "component": "node",
    "environment": "production",
    "priority": "P1",
}

WORKFLOW_EXAMPLE: dict[str, Any] = {
    "workflow_name": "prune-node-images",
    "version": "v1.2.0",
    "name": "Prune unused images on a full node",
    "description": "Frees disk space on a node under disk pressure",
    "owner": "storage-team",
    "content": "kind: WorkflowSchema\n",
    "content_hash": "095b7fbed95fc87acef8a87667044e39213ff2514e9c624cef361a779fa721c5",
    "execution_engine": "tekton",
    "labels": _LABELS_EXAMPLE,
    "custom_labels": {"team": ["name=storage"]},
    "detected_labels": {"gitOpsManaged": True, "gitOpsTool": "*"},
    "status": "active",
}
CHANGE_EXAMPLE: dict[str, Any] = {
    "status": "deprecated",
    "deprecation_notice": "use v1.3.0",
    "updated_by": "ops",
}
DISABLE_EXAMPLE: dict[str, Any] = {"reason": "fails on nodes with two disks", "updated_by": "ops"}
SEARCH_EXAMPLE: dict[str, Any] = {
    "filters": {**_LABELS_EXAMPLE, "detected_labels": {"gitOpsManaged": True}},
    "top_k": 3,
    "min_score": 0.5,
}
