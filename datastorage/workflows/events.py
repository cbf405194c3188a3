"""What the catalogue writes to the audit trail about itself: the self-emitted events. Pure."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec
from msgspec import structs

from datastorage.audit.event import AuditEvent
from datastorage.audit.identity import new_event_id
from datastorage.platform.web import json
from datastorage.workflows.labels import MANDATORY
from datastorage.workflows.model import SearchAnswer, SearchRequest, SearchResult, StoredWorkflow
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

    def submit(self, event: AuditEvent) -> object:
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


class _Scoring(msgspec.Struct, frozen=True, gc=False):
    confidence: float
    mandatory_match_score: float
    detected_label_boost: float
    custom_label_boost: float
    label_penalty: float


class _Found(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    workflow_id: UUID
    workflow_name: str
    version: str
    title: str
    rank: int
    labels: msgspec.Raw
    scoring: _Scoring
    description: str | None = None
    owner: str | None = None
    maintainer: str | None = None


def search_completed(
    request: SearchRequest, answer: SearchAnswer, finished: Finished, *, maximum_bytes: int
) -> AuditEvent:
    """Return the event of an answered search.

    Descriptions have no length limit; where they would make the payload larger than ``maximum_bytes``,
    what any client may send, they are left out.
    """
    resource_id = query_hash(request.wanted.mandatory)
    found = list(map(_found, answer.workflows, finished.found))
    encoded = json.encode(_search_data(request, answer, finished, found))
    if len(encoded) > maximum_bytes:
        found = [structs.replace(each, description=None) for each in found]
        encoded = json.encode(_search_data(request, answer, finished, found))
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


def _search_data(
    request: SearchRequest, answer: SearchAnswer, finished: Finished, found: list[_Found]
) -> dict[str, Any]:
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


def _found(result: SearchResult, row: Found) -> _Found:
    return _Found(
        result.workflow_id,
        row.workflow_name,
        row.version,
        result.title,
        result.rank,
        msgspec.Raw(row.labels.encode("utf-8")),
        _Scoring(
            result.confidence,
            result.mandatory_match_score,
            result.detected_label_boost,
            result.custom_label_boost,
            result.label_penalty,
        ),
        result.description,
        row.owner,
        row.maintainer,
    )


def created(workflow: StoredWorkflow, *, metadata: str) -> AuditEvent:
    """Return the event of a registered version; ``metadata`` says who asked for it."""
    members = workflow.members()
    payload = {name: members[name] for name in _CREATED_MEMBERS}
    return _catalogue_event("created", "create", members, payload, metadata)


def updated(
    workflow: StoredWorkflow, changed: Iterable[str], *, is_disable: bool, metadata: str
) -> AuditEvent:
    """Return the event of an update: the new value of every changed field, and always the status."""
    members = workflow.members()
    reported = {name: members.get(name) for name in (*_ALWAYS_REPORTED, *changed)}
    if is_disable:
        reported |= {name: members[name] for name in _REPORTED_WHEN_DISABLED if name in members}
    payload = {"workflow_id": members["workflow_id"], "updated_fields": reported}
    return _catalogue_event("updated", "update", members, payload, metadata)


def _catalogue_event(
    what: str, action: str, members: Mapping[str, msgspec.Raw], payload: dict[str, Any], metadata: str
) -> AuditEvent:
    envelope = {
        "version": VERSION,
        "service": SERVICE,
        "operation": f"workflow_{what}",
        "status": "success",
        "payload": payload,
    }
    workflow_id = msgspec.json.decode(members["workflow_id"], type=str)
    return _event(
        f"datastorage.workflow.{what}",
        action=action,
        at=msgspec.json.decode(members["updated_at"], type=datetime),
        resource_type="Workflow",
        resource_id=workflow_id,
        correlation_id=workflow_id,
        event_data=json.encode(envelope),
        event_metadata=metadata,
    )


def _event(event_type: str, *, action: str, at: datetime, event_data: bytes, **fields: Any) -> AuditEvent:
    return AuditEvent(
        event_id=new_event_id(),
        # The journal may write it twice when an outcome is unknown; its id makes that once.
        has_client_id=True,
        event_version=VERSION,
        event_timestamp=at,
        event_date=at.date(),
        received_at=at,
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
