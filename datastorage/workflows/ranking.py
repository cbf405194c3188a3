"""Which candidates of a search reach its score, and in which order. Pure.

Catalogues repeat themselves: the labels of a group are read and judged once for each distinct text,
and only the workflows that can be among the first are put in order. A search that matches ten
thousand workflows spends a few microseconds on each.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import NamedTuple
from uuid import UUID

import msgspec

from datastorage.workflows.labels import CustomLabels
from datastorage.workflows.scoring import (
    Labels,
    Score,
    custom_points,
    detected_points,
    mandatory_points,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Candidate(NamedTuple):
    """A workflow whose mandatory labels match; the other two groups are JSON text."""

    workflow_id: UUID
    created_at: datetime
    component: str
    environment: str
    priority: str
    custom_labels: str
    detected_labels: str


class Ranked(NamedTuple):
    """One workflow with its score and what the order depends on."""

    workflow_id: UUID
    created_at: datetime
    score: Score


@dataclass(frozen=True, slots=True)
class Ranking:
    """The first results, and how many there are in all."""

    best: list[Ranked]
    total: int


def rank(wanted: Labels, candidates: Iterable[Candidate], *, min_score: Decimal, top_k: int) -> Ranking:
    """Score every candidate, keep those that reach ``min_score``, put the first ``top_k`` in order."""
    score_of = _scorer(wanted)
    by_score: dict[Score, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_score[score_of(candidate)].append(candidate)
    kept = {score: found for score, found in by_score.items() if reaches(score.points, min_score)}
    ranked = (
        Ranked(candidate.workflow_id, candidate.created_at, score)
        for score, found in _highest(kept, top_k)
        for candidate in found
    )
    return Ranking(best(ranked, top_k), sum(len(found) for found in kept.values()))


def _highest(by_score: dict[Score, list[Candidate]], count: int) -> Iterator[tuple[Score, list[Candidate]]]:
    """Yield whole groups of equal points, highest first, until they have ``count`` workflows."""
    seen = 0
    last_points: int | None = None
    for score in sorted(by_score, key=lambda score: score.points, reverse=True):
        if seen >= count and score.points != last_points:
            return
        yield score, by_score[score]
        seen += len(by_score[score])
        last_points = score.points


def _scorer(wanted: Labels) -> Callable[[Candidate], Score]:
    """Return a function that scores, and remembers what each text of a label group earned."""

    @cache
    def mandatory(component: str, environment: str, priority: str) -> int:
        # The two labels that are never a wildcard are, on a candidate, the searched ones.
        others = {"component": component, "environment": environment, "priority": priority}
        return mandatory_points(wanted.mandatory, wanted.mandatory | others)

    @cache
    def detected(text: str) -> tuple[int, int]:
        return detected_points(wanted.detected, msgspec.json.decode(text))

    @cache
    def custom(text: str) -> int:
        return custom_points(wanted.custom, msgspec.json.decode(text, type=CustomLabels))

    def score_of(candidate: Candidate) -> Score:
        _, _, component, environment, priority, custom_text, detected_text = candidate
        boost, penalty = detected(detected_text)
        return Score(mandatory(component, environment, priority), boost, custom(custom_text), penalty)

    return score_of


def reaches(points: int, min_score: Decimal) -> bool:
    """Tell whether ``points`` make at least ``min_score``, compared as decimals of any length."""
    return Decimal(points).scaleb(-4) >= min_score


def best(ranked: Iterable[Ranked], count: int) -> list[Ranked]:
    """Return the first ``count`` in the order of the answer: best score, then newest, then smallest id."""
    return heapq.nsmallest(count, ranked, key=_place)


def _place(ranked: Ranked) -> tuple[int, int, int]:
    age = (_EPOCH - ranked.created_at) // _MICROSECOND
    return -ranked.score.points, age, ranked.workflow_id.int
