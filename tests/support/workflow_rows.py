"""Rows of ``remediation_workflow_catalog`` as plain SQL would write them."""

from typing import Any
from uuid import uuid4


def a_workflow_row(**columns: Any) -> dict[str, Any]:
    """Return a row with a name of its own; what it does not name has the table's default."""
    return {
        "workflow_id": uuid4(),
        "workflow_name": f"by-hand-{uuid4()}",
        "version": "1.0.0",
        "name": "Written by hand",
        "description": "A row of SQL",
        "content": "steps: []",
        "content_hash": "0" * 64,
        "labels": {
            "signal_type": "ByHand",
            "severity": "low",
            "component": "pod",
            "environment": "test",
            "priority": "P3",
        },
        "is_latest_version": True,
    } | columns
