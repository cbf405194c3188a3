"""What a workflow is, what a search asks, and what comes of both."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from datastorage.workflows.labels import CustomLabels, DetectedLabels
from datastorage.workflows.scoring import Labels

ACTIVE = "active"
DEFAULT_TOP_K = 10
DEFAULT_PAGE_ROWS = 100
NO_MIN_SCORE = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWorkflow:
    """One version to be registered; identity, times, counters and the latest flag are the server's.

    ``parameters`` is compact JSON text, so that no number in it is rounded.
    """

    workflow_name: str
    version: str
    name: str
    description: str
    content: str
    content_hash: str
    execution_engine: str
    labels: dict[str, str]
    custom_labels: CustomLabels
    detected_labels: DetectedLabels
    status: str
    owner: str | None = None
    maintainer: str | None = None
    parameters: str | None = None
    container_image: str | None = None
    container_digest: str | None = None
    previous_version: str | None = None
    deprecation_notice: str | None = None
    version_notes: str | None = None
    change_summary: str | None = None
    approved_by: str | None = None
    approved_at: datetime | None = None
    expected_success_rate: Decimal | None = None
    expected_duration_seconds: int | None = None
    created_by: str | None = None


class Workflow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stored version, as every answer shows it; members that are null or empty are left out."""

    workflow_id: UUID
    workflow_name: str
    version: str
    name: str
    description: str
    owner: str | None = None
    maintainer: str | None = None
    content: str
    content_hash: str
    parameters: msgspec.Raw | None = None
    execution_engine: str
    container_image: str | None = None
    container_digest: str | None = None
    labels: dict[str, str]
    custom_labels: CustomLabels = msgspec.field(default_factory=dict)
    detected_labels: DetectedLabels
    status: str
    status_reason: str | None = None
    disabled_at: datetime | None = None
    disabled_by: str | None = None
    disabled_reason: str | None = None
    is_latest_version: bool
    previous_version: str | None = None
    deprecation_notice: str | None = None
    version_notes: str | None = None
    change_summary: str | None = None
    approved_by: str | None = None
    approved_at: datetime | None = None
    expected_success_rate: float | None = None
    expected_duration_seconds: int | None = None
    actual_success_rate: float | None = None
    total_executions: int
    successful_executions: int
    created_at: datetime
    updated_at: datetime
    created_by: str | None = None
    updated_by: str | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """The version is committed and is the latest of its name."""

    workflow: Workflow


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowFilter:
    """What to list; values are compared literally, a ``*`` is a ``*``."""

    status: str | None = None
    workflow_name: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    custom_labels: CustomLabels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A filter and how much of its result to return."""

    filter: WorkflowFilter
    limit: int = DEFAULT_PAGE_ROWS
    offset: int = 0


class WorkflowPage(msgspec.Struct, frozen=True):
    """Workflows, newest first; ``total`` counts all that match."""

    workflows: list[Workflow]
    limit: int
    offset: int
    total: int


class VersionList(msgspec.Struct, frozen=True):
    """Every version of one name, newest first."""

    workflow_name: str
    versions: list[Workflow]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """One search; ``echo`` is the filter as answers and audit events repeat it."""

    wanted: Labels
    statuses: tuple[str, ...]
    echo: dict[str, Any]
    remediation_id: str | None = None
    top_k: int = DEFAULT_TOP_K
    min_score: Decimal = NO_MIN_SCORE
    include_disabled: bool = False
    explain: bool = False


class Explained(msgspec.Struct, frozen=True):
    """What one label of the filter did to a score, in points; ten points are a final score of 1.0."""

    label: str
    part: str
    searched: Any
    declared: Any
    match: str
    points: float


class Reason(msgspec.Struct, frozen=True):
    """One thing that kept a workflow out of the result."""

    label: str
    searched: Any
    declared: Any


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow that came close; ``final_score`` is what its labels earn nevertheless."""

    workflow_id: UUID
    workflow_name: str
    version: str
    title: str
    final_score: float
    reasons: list[Reason]


class SearchResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One workflow found, flat; its labels are JSON as PostgreSQL wrote it."""

    workflow_id: UUID
    title: str
    description: str
    signal_type: str
    container_image: str | None = None
    container_digest: str | None = None
    confidence: float
    final_score: float
    label_boost: float
    label_penalty: float
    mandatory_match_score: float
    detected_label_boost: float
    custom_label_boost: float
    rank: int
    custom_labels: msgspec.Raw | None = None
    detected_labels: msgspec.Raw
    explanation: list[Explained] | None = None


class SearchAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Results in rank order; ``total_results`` counts them before ``top_k`` cuts."""

    workflows: list[SearchResult]
    total_results: int
    filters: dict[str, Any]
    rejected: list[Rejected] | None = None
