"""What the catalogue writes to the audit trail about itself: the self-emitted events. Pure."""

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec

from datastorage.audit.event import AuditEvent
from datastorage.platform.web import json
from datastorage.workflows.labels import MANDATORY
from datastorage.workflows.model import SearchAnswer, SearchRequest, SearchResult, Workflow
from datastorage.workflows.ranking import Found

SERVICE = "datastorage"
CATEGORY = "workflow"
VERSION = "1.0"
RETENTION_DAYS = 2555
SEARCH_MODE = "label_only"

_CREATED_MEMBERS = (
    "workflow_id",
    "workflow_name",
    "version",
    "status",
    "is_latest_version",
    "execution_engine",
    "name",
    "description",
    "labels",
)
_ALWAYS_REPORTED = ("status",)
_REPORTED_WHEN_DISABLED = ("disabled_by", "disabled_reason")


class Journal(Protocol):
    """Takes events over and writes them in the background."""

    def submit(self, event: AuditEvent) -> None:
        """Return at once, and never raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A search that was answered: what the event reports beside request and answer."""

    found: Sequence[Found]
    duration_ms: int
    at: datetime


def query_hash(filters: Mapping[str, str]) -> str:
    """Return 16 hexadecimal digits that stand for the five mandatory labels of a search."""
    joined = "-".join(filters[name] for name in MANDATORY)
    return hashlib.sha256(joined.encode("utf-8")).hexdigest()[:16]


def search_completed(
    request: SearchRequest, answer: SearchAnswer, finished: Finished, *, maximum_bytes: int
) -> AuditEvent:
    """Return the event of an answered search.

    Descriptions have no length limit; where they would make the payload larger than ``maximum_bytes``,
    what any client may send, they are left out.
    """
    resource_id = query_hash(request.wanted.mandatory)
    data = _search_data(request, answer, finished)
    encoded = json.encode(data)
    if len(encoded) > maximum_bytes:
        for found in data["results"]["workflows"]:
            del found["description"]
        encoded = json.encode(data)
    return _event(
        "workflow.catalog.search_completed",
        action="search_completed",
        at=finished.at,
        resource_type="workflow_catalog",
        resource_id=resource_id,
        correlation_id=request.remediation_id or resource_id,
        event_data=encoded,
        duration_ms=finished.duration_ms,
    )


def _search_data(request: SearchRequest, answer: SearchAnswer, finished: Finished) -> dict[str, Any]:
    found = list(map(_found, answer.workflows, finished.found))
    return {
        "query": {
            "top_k": request.top_k,
            "min_score": float(request.min_score),
            "include_disabled": request.include_disabled,
            "filters": answer.filters,
        },
        "results": {
            "total_found": answer.total_results,
            "returned": len(found),
            "workflows": found,
        },
        "search_metadata": {"duration_ms": finished.duration_ms, "search_mode": SEARCH_MODE},
        "result": "matches" if answer.total_results else "no_matches",
    }


def _found(result: SearchResult, row: Found) -> dict[str, Any]:
    return {
        "workflow_id": result.workflow_id,
        "workflow_name": row.workflow_name,
        "version": row.version,
        "title": result.title,
        "description": result.description,
        **{name: value for name in ("owner", "maintainer") if (value := getattr(row, name)) is not None},
        "rank": result.rank,
        "labels": msgspec.Raw(row.labels.encode("utf-8")),
        "scoring": {
            "confidence": result.confidence,
            "mandatory_match_score": result.mandatory_match_score,
            "detected_label_boost": result.detected_label_boost,
            "custom_label_boost": result.custom_label_boost,
            "label_penalty": result.label_penalty,
        },
    }


def created(workflow: Workflow) -> AuditEvent:
    """Return the event of a registered version."""
    payload = {name: getattr(workflow, name) for name in _CREATED_MEMBERS}
    return _catalogue_event("created", "create", workflow, payload)


def updated(workflow: Workflow, changed: Iterable[str], *, is_disable: bool) -> AuditEvent:
    """Return the event of an update: the new value of every changed field, and always the status."""
    reported = {name: getattr(workflow, name) for name in (*_ALWAYS_REPORTED, *changed)}
    if is_disable:
        given = {name: getattr(workflow, name) for name in _REPORTED_WHEN_DISABLED}
        reported |= {name: value for name, value in given.items() if value is not None}
    payload = {"workflow_id": workflow.workflow_id, "updated_fields": reported}
    return _catalogue_event("updated", "update", workflow, payload)


def _catalogue_event(what: str, action: str, workflow: Workflow, payload: dict[str, Any]) -> AuditEvent:
    envelope = {
        "version": VERSION,
        "service": SERVICE,
        "operation": f"workflow_{what}",
        "status": "success",
        "payload": payload,
    }
    workflow_id = str(workflow.workflow_id)
    return _event(
        f"datastorage.workflow.{what}",
        action=action,
        at=workflow.updated_at,
        resource_type="Workflow",
        resource_id=workflow_id,
        correlation_id=workflow_id,
        event_data=json.encode(envelope),
    )


def _event(event_type: str, *, action: str, at: datetime, event_data: bytes, **fields: Any) -> AuditEvent:
    return AuditEvent(
        event_id=uuid.uuid4(),
        # The journal may write it twice when an outcome is unknown; its id makes that once.
        has_client_id=True,
        event_version=VERSION,
        event_timestamp=at,
        event_date=at.date(),
        event_type=event_type,
        event_category=CATEGORY,
        event_action=action,
        event_outcome="success",
        actor_type="service",
        actor_id=SERVICE,
        severity="info",
        retention_days=RETENTION_DAYS,
        is_sensitive=False,
        event_data=event_data.decode("utf-8"),
        **fields,
    )
