"""Why a search answered what it answered: what each label contributed, and what kept others out. Pure."""

import heapq
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from datastorage.workflows.labels import MANDATORY, Match, match_mandatory
from datastorage.workflows.model import Explained, NearMiss, Reason, Rejected, SearchRequest
from datastorage.workflows.scoring import (
    MAX_CUSTOM_POINTS,
    POINT,
    Kind,
    Labels,
    Score,
    contributions,
    points_for,
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
        Explained(part.label, part.kind, part.searched, part.declared, part.match, part.points / POINT)
        for part in parts
    ]
    custom = sum(part.points for part in parts if part.kind == Kind.CUSTOM)
    if custom > MAX_CUSTOM_POINTS:
        excess = (MAX_CUSTOM_POINTS - custom) / POINT
        explained.append(Explained("custom_labels", Kind.CUSTOM, None, None, Match.CAPPED, excess))
    return explained


def rejections(request: SearchRequest, rows: Iterable[NearMiss]) -> list[Rejected]:
    """Return the workflows that came closest to a result, and what kept each of them out.

    Those with the fewest reasons come first, of those the ones whose labels earn most, then as results
    are ordered. Scores cost most, so only those that can come first are looked at.
    """
    by_id = {row.workflow_id: row for row in rows}
    reasons = {workflow_id: _reasons(request, row) for workflow_id, row in by_id.items()}
    closest: list[Ranked] = []
    # A workflow without a reason was found, and only cut off by top_k.
    for count in sorted({len(each) for each in reasons.values()} - {0}):
        alike = [by_id[workflow_id] for workflow_id, found in reasons.items() if len(found) == count]
        closest += best((_ranked(request, row) for row in alike), MAX_REJECTED)
        if len(closest) >= MAX_REJECTED:
            break
    return [
        _rejected(each, by_id[each.workflow_id], reasons[each.workflow_id]) for each in closest[:MAX_REJECTED]
    ]


def best(ranked: Iterable[Ranked], count: int) -> list[Ranked]:
    """Return the first ``count`` in the order of results: best score, then newest, then smallest id."""
    return heapq.nsmallest(count, ranked, key=_place)


def _place(ranked: Ranked) -> tuple[int, int, int]:
    age = (_EPOCH - ranked.created_at) // _MICROSECOND
    return -ranked.score.points, age, ranked.workflow_id.int


def _ranked(request: SearchRequest, row: NearMiss) -> Ranked:
    return Ranked(row.workflow_id, row.created_at, score(request.wanted, _declared(row)))


def _declared(row: NearMiss) -> Labels:
    """Return what the workflow of a row declares; a label that is missing there matches nothing."""
    mandatory = {name: row.labels.get(name, "") for name in MANDATORY}
    return Labels(mandatory, row.custom_labels, row.detected_labels)


def _reasons(request: SearchRequest, row: NearMiss) -> list[Reason]:
    found = []
    if row.status not in request.statuses:
        found.append(Reason("status", list(request.statuses), row.status))
    for label in MANDATORY:
        searched, stored = request.wanted.mandatory[label], row.labels.get(label, "")
        if match_mandatory(label, stored, searched) is Match.NONE:
            found.append(Reason(label, searched, stored))
    return found or _below_min_score(request, row)


def _below_min_score(request: SearchRequest, row: NearMiss) -> list[Reason]:
    earned = score(request.wanted, _declared(row))
    if earned.points >= points_for(request.min_score):
        return []
    return [Reason("min_score", float(request.min_score), earned.final)]


def _rejected(ranked: Ranked, row: NearMiss, reasons: list[Reason]) -> Rejected:
    return Rejected(
        workflow_id=row.workflow_id,
        workflow_name=row.workflow_name,
        version=row.version,
        title=row.name,
        final_score=ranked.score.final,
        reasons=reasons,
    )
