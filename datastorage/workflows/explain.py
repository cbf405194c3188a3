"""Why a search answered what it answered: what each label contributed, and what kept others out. Pure."""

import heapq
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from datastorage.workflows.labels import MANDATORY, Match, match_mandatory
from datastorage.workflows.model import Explained, Reason, Rejected, SearchRequest
from datastorage.workflows.scoring import (
    MAX_CUSTOM_POINTS,
    POINT,
    Kind,
    Labels,
    Score,
    contributions,
    reaches,
    score,
)

MAX_REJECTED = 10

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Ranked(NamedTuple):
    """One workflow with its score and what the order depends on."""

    workflow_id: UUID
    created_at: datetime
    score: Score


def explanation(wanted: Labels, declared: Labels) -> list[Explained]:
    """Return what every searched label contributed; the points add up to ten times the final score."""
    parts = list(contributions(wanted, declared))
    explained = [
        Explained(part.label, part.kind, part.searched, part.declared, part.match.value, part.points / POINT)
        for part in parts
    ]
    custom = sum(part.points for part in parts if part.kind == Kind.CUSTOM)
    if custom > MAX_CUSTOM_POINTS:
        excess = (MAX_CUSTOM_POINTS - custom) / POINT
        explained.append(Explained("custom_labels", Kind.CUSTOM, None, None, "capped", excess))
    return explained


def rejections(request: SearchRequest, rows: Iterable[Mapping[str, Any]]) -> list[Rejected]:
    """Return the workflows that came closest to a result, and what kept each of them out.

    Those with the fewest reasons come first, of those the ones whose labels earn most, then as results
    are ordered.
    """
    by_id = {row["workflow_id"]: row for row in rows}
    judged: dict[int, list[Ranked]] = {}
    reasons = {}
    for workflow_id, row in by_id.items():
        declared = labels_of(row)
        earned = score(request.wanted, declared)
        reasons[workflow_id] = _reasons(request, row, declared, earned)
        ranked = Ranked(workflow_id, row["created_at"], earned)
        judged.setdefault(len(reasons[workflow_id]), []).append(ranked)
    # A workflow without a reason was found, and only cut off by top_k.
    judged.pop(0, None)
    closest = [ranked for count in sorted(judged) for ranked in best(judged[count], MAX_REJECTED)]
    return [_rejected(ranked, by_id, reasons) for ranked in closest[:MAX_REJECTED]]


def best(ranked: Iterable[Ranked], count: int) -> list[Ranked]:
    """Return the first ``count`` in the order of results: best score, then newest, then smallest id."""
    return heapq.nsmallest(count, ranked, key=_place)


def _place(ranked: Ranked) -> tuple[int, int, int]:
    age = (_EPOCH - ranked.created_at) // _MICROSECOND
    return -ranked.score.points, age, ranked.workflow_id.int


def labels_of(row: Mapping[str, Any]) -> Labels:
    """Return what the workflow of a row declares; a label that is missing there matches nothing."""
    mandatory = {name: row["labels"].get(name, "") for name in MANDATORY}
    return Labels(mandatory, row["custom_labels"], row["detected_labels"])


def _reasons(request: SearchRequest, row: Mapping[str, Any], declared: Labels, earned: Score) -> list[Reason]:
    found = []
    if row["status"] not in request.statuses:
        found.append(Reason("status", list(request.statuses), row["status"]))
    for label in MANDATORY:
        searched, stored = request.wanted.mandatory[label], declared.mandatory[label]
        if match_mandatory(label, stored, searched) is Match.NONE:
            found.append(Reason(label, searched, stored))
    if not found and not reaches(earned.points, request.min_score):
        found.append(Reason("min_score", float(request.min_score), earned.final))
    return found


def _rejected(ranked: Ranked, rows: Mapping[Any, Mapping[str, Any]], reasons: Mapping[Any, Any]) -> Rejected:
    row = rows[ranked.workflow_id]
    return Rejected(
        workflow_id=ranked.workflow_id,
        workflow_name=row["workflow_name"],
        version=row["version"],
        title=row["name"],
        final_score=ranked.score.final,
        reasons=reasons[ranked.workflow_id],
    )
