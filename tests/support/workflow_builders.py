"""Workflows and searches with sensible defaults: a test names only the fields it is about."""

import hashlib
import json as json_module
from typing import Any

from tests.support.builders import ABSENT, unique
from tests.support.http import JSON, Answer, Api

WORKFLOWS = "/api/v1/workflows"
SEARCH = "/api/v1/workflows/search"

CONTENT = "apiVersion: kubernaut.io/v1alpha1\nkind: WorkflowSchema\nmetadata:\n  name: prune-node-images\n"

LABEL_NAMES = ("signal_type", "severity", "component", "environment", "priority")
FLAGS = ("gitOpsManaged", "pdbProtected", "networkIsolated", "helmManaged", "stateful", "hpaEnabled")
ALL_FLAGS = dict.fromkeys(FLAGS, True)


def labels(text: str) -> dict[str, str]:
    """Return the mandatory labels of ``signal/severity/component/environment/priority``."""
    return dict(zip(LABEL_NAMES, text.split("/"), strict=True))


def a_workflow(**fields: Any) -> dict[str, Any]:
    """Return a complete workflow of a name of its own, changed like ``an_event``."""
    workflow = {
        "workflow_name": unique("prune-node-images"),
        "version": "v1.2.0",
        "name": "Prune unused images on a full node",
        "description": "Frees disk space on a node under disk pressure",
        "owner": "storage-team",
        "maintainer": "storage-oncall@example.org",
        "content": CONTENT,
        "content_hash": hashlib.sha256(CONTENT.encode()).hexdigest(),
        "parameters": {"schema": {"parameters": [{"name": "NODE_NAME", "type": "string", "required": True}]}},
        "execution_engine": "tekton",
        "container_image": "registry.example.org/workflows/prune-node-images:v1.2.0",
        "container_digest": "sha256:1e6ed65d77d6364eeaed5a745ba5c4985ae2b700dd85d7cf7f027bdf294a33fc",
        "labels": labels("NodeDiskPressure/high/node/production/P1"),
        "custom_labels": {"team": ["name=storage", "name=platform"]},
        "detected_labels": {"gitOpsManaged": True, "gitOpsTool": "*", "stateful": False},
        "status": "active",
        "expected_success_rate": 0.92,
    } | fields
    return {name: value for name, value in workflow.items() if value is not ABSENT}


def a_plain_workflow(mandatory: str, **fields: Any) -> dict[str, Any]:
    """Return a workflow with these mandatory labels and no others unless given."""
    no_others: dict[str, Any] = {"custom_labels": ABSENT, "detected_labels": ABSENT}
    return a_workflow(**({"labels": labels(mandatory)} | no_others | fields))


def a_search(mandatory: str, **members: Any) -> dict[str, Any]:
    """Return a search for these labels; label names among ``members`` go into the filter."""
    filters: dict[str, Any] = dict(labels(mandatory))
    for name in (*LABEL_NAMES, "custom_labels", "detected_labels", "status"):
        if name in members:
            filters[name] = members.pop(name)
    kept = {name: value for name, value in filters.items() if value is not ABSENT}
    return {"filters": kept, "top_k": 100} | members


def patch(api: Api, path: str, json: Any = None, *, body: bytes | None = None) -> Answer:
    """PATCH a JSON value, or bytes as they are."""
    content = json_module.dumps(json).encode() if body is None else body
    return api.request("PATCH", path, body=content, headers=JSON)


def register(api: Api, **fields: Any) -> dict[str, Any]:
    """Create a workflow and return it as it was answered."""
    answer = api.post(WORKFLOWS, a_workflow(**fields))
    assert answer.status == 201, answer.body
    created: dict[str, Any] = answer.json
    return created


def path_of(workflow: dict[str, Any], action: str = "") -> str:
    """Return the path of a workflow, or of an action on it."""
    return f"{WORKFLOWS}/{workflow['workflow_id']}{action}"
