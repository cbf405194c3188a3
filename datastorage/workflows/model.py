"""What is asked about workflows, and what is answered."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec

from datastorage.platform.db.conditions import Condition
from datastorage.platform.web.shapes import meaning
from datastorage.workflows.labels import (
    MEANINGS,
    CustomLabels,
    DetectedLabels,
    MandatoryLabels,
    Match,
    Status,
)
from datastorage.workflows.scoring import Kind, Labels
from datastorage.workflows.workflow import WORKFLOW

DEFAULT_TOP_K = 10
DEFAULT_PAGE_ROWS = 100
NO_MIN_SCORE = Decimal(0)

Rows = Annotated[list[msgspec.Raw], meaning("Newest first.", of=WORKFLOW)]


@dataclass(frozen=True, slots=True)
class StoredWorkflow:
    """One version as every answer shows it, in JSON that PostgreSQL wrote."""

    workflow_id: UUID
    text: str

    def members(self) -> dict[str, msgspec.Raw]:
        """Return the JSON of each member that has a value."""
        return _MEMBERS.decode(self.text)


_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Created:
    """The version is committed and is the latest of its name."""

    workflow: StoredWorkflow


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What to list, all conditions hold, and how much of the result to return."""

    conditions: tuple[Condition, ...]
    limit: int = DEFAULT_PAGE_ROWS
    offset: int = 0


class WorkflowPage(msgspec.Struct, frozen=True):
    """One page of workflows, newest first."""

    workflows: Rows
    limit: int
    offset: int
    total: Annotated[int, meaning("All that match, wherever the page lies.")]


class VersionList(msgspec.Struct, frozen=True):
    """Every version of one name, newest first."""

    workflow_name: str
    versions: Rows
    total: int


class SearchedFilters(MandatoryLabels, frozen=True, omit_defaults=True, kw_only=True):
    """The filters of a search, normalised."""

    custom_labels: Annotated[CustomLabels, meaning(MEANINGS["custom_labels"])] = msgspec.field(
        default_factory=dict
    )
    detected_labels: Annotated[DetectedLabels, meaning(MEANINGS["detected_labels"])]
    status: list[Status] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """One search; ``echo`` is the filter as answers and audit events repeat it."""

    wanted: Labels
    statuses: tuple[str, ...]
    echo: SearchedFilters
    remediation_id: str | None = None
    top_k: int = DEFAULT_TOP_K
    min_score: Decimal = NO_MIN_SCORE
    include_disabled: bool = False
    explain: bool = False


class NearMiss(NamedTuple):
    """A workflow that was not found: what kept it out depends on this."""

    workflow_id: UUID
    workflow_name: str
    version: str
    name: str
    status: str
    created_at: datetime
    labels: dict[str, str]
    custom_labels: CustomLabels
    detected_labels: DetectedLabels


class Explained(msgspec.Struct, frozen=True):
    """What one searched label did to a score."""

    label: str
    part: Kind
    searched: Any
    declared: Any
    match: Match
    points: Annotated[float, meaning("Ten points make a final score of 1.0; penalties are negative.")]


class Reason(msgspec.Struct, frozen=True):
    """One thing that kept a workflow out of the result."""

    label: str
    searched: Any
    declared: Any


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow that came close to being found."""

    workflow_id: UUID
    workflow_name: str
    version: str
    title: str
    final_score: Annotated[float, meaning("What its labels earn nevertheless.")]
    reasons: list[Reason]


class SearchResult(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One workflow that was found."""

    workflow_id: UUID
    title: str
    description: str
    signal_type: str
    confidence: Annotated[float, meaning("Equal to `final_score`.")]
    final_score: float
    label_boost: Annotated[
        float,
        meaning("Detected and custom boost together, at most 0.39 here; the score uses all of it."),
    ]
    label_penalty: float
    mandatory_match_score: float
    detected_label_boost: float
    custom_label_boost: float
    rank: int
    detected_labels: msgspec.Raw
    custom_labels: msgspec.Raw | None = None
    container_image: str | None = None
    container_digest: str | None = None
    explanation: Annotated[
        list[Explained] | None, meaning("With `explain` only: what each searched label contributed.")
    ] = None


class SearchAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Workflows in rank order; none is an empty list."""

    workflows: list[SearchResult]
    total_results: Annotated[int, meaning("Workflows that match and reach `min_score`, before `top_k` cuts.")]
    filters: SearchedFilters
    rejected: Annotated[
        list[Rejected] | None,
        meaning("With `explain` only: the workflows that came closest, and what kept each out."),
    ] = None
