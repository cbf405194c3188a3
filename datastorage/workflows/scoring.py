"""How well a workflow answers a search, label by label. Pure.

Scores are whole thousandths of a point, ten points being a perfect 1.0, so every final score is exact
with four decimals and no rounding happens anywhere: a half of 0.05 is 25 thousandths.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from datastorage.workflows.labels import (
    DETECTED,
    MANDATORY,
    CustomLabels,
    DetectedLabels,
    Match,
    match_custom,
    match_detected,
    match_mandatory,
    pairs,
    trusted,
)

POINT = 1000
"""Thousandths in a point."""
FULL_SCORE = 10 * POINT
"""Points that make a final score of 1.0."""

MANDATORY_WILDCARD_POINTS = POINT // 2
CUSTOM_LABEL_POINTS = 50
CUSTOM_WILDCARD_POINTS = 25
MAX_CUSTOM_POINTS = 500
MAX_REPORTED_BOOST = 390
"""Published clients refuse a ``label_boost`` above 0.39; the score uses the whole boost."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The three groups: what a workflow declares, or what a search asks for."""

    mandatory: dict[str, str]
    custom: CustomLabels
    detected: DetectedLabels


class Kind(StrEnum):
    """Which part of the score a contribution belongs to."""

    MANDATORY = "mandatory"
    DETECTED = "detected"
    CUSTOM = "custom"
    PENALTY = "penalty"


class Contribution(NamedTuple):
    """What one searched label adds to the points of a workflow, in thousandths; penalties are negative."""

    kind: Kind
    label: str
    searched: str | bool
    declared: str | bool | list[str] | None
    match: Match
    points: int


class Score(NamedTuple):
    """The parts of a score, in thousandths of a point."""

    mandatory: int
    detected: int
    custom: int
    penalty: int

    @property
    def points(self) -> int:
        """All of it; divided by ``FULL_SCORE`` it is the final score."""
        return self.mandatory + self.detected + self.custom - self.penalty

    @property
    def final(self) -> float:
        """The final score, 0 to 1: the double nearest to its four decimals."""
        return self.points / FULL_SCORE

    @property
    def label_boost(self) -> float:
        """Detected and custom boost together, as far as clients accept it."""
        return min(self.detected + self.custom, MAX_REPORTED_BOOST) / POINT


def points_for(min_score: Decimal) -> int:
    """Return the fewest points that make ``min_score``, none of whose digits is rounded."""
    numerator, denominator = min_score.as_integer_ratio()
    return -(-numerator * FULL_SCORE // denominator)


def score(wanted: Labels, declared: Labels) -> Score:
    """Return how many points ``declared`` earns; mandatory labels that do not match earn nothing."""
    points = dict.fromkeys(Kind, 0)
    for each in contributions(wanted, declared):
        points[each.kind] += each.points
    custom = min(points[Kind.CUSTOM], MAX_CUSTOM_POINTS)
    return Score(points[Kind.MANDATORY], points[Kind.DETECTED], custom, -points[Kind.PENALTY])


def contributions(wanted: Labels, declared: Labels) -> Iterator[Contribution]:
    """Yield what every searched label contributes; custom labels are not capped yet."""
    yield from _mandatory(wanted.mandatory, declared.mandatory)
    yield from _detected(wanted.detected, declared.detected)
    yield from _custom(wanted.custom, declared.custom)


def _mandatory(wanted: dict[str, str], declared: dict[str, str]) -> Iterator[Contribution]:
    for label in MANDATORY:
        match = match_mandatory(label, declared[label], wanted[label])
        points = _points(match, POINT, MANDATORY_WILDCARD_POINTS)
        yield Contribution(Kind.MANDATORY, label, wanted[label], declared[label], match, points)


def _detected(wanted: DetectedLabels, declared: DetectedLabels) -> Iterator[Contribution]:
    for key, searched in trusted(wanted).items():
        label = DETECTED[key]
        found = declared.get(key)
        match = match_detected(found, searched)
        boost = _points(match, label.weight, label.weight // 2)
        yield Contribution(Kind.DETECTED, key, searched, found, match, boost)
        # A searched "*" asks for any tool, so no tool at all is no conflict either.
        if match is Match.NONE and label.penalty and searched != "*":
            yield Contribution(Kind.PENALTY, key, searched, found, match, -label.penalty)


def _custom(wanted: CustomLabels, declared: CustomLabels) -> Iterator[Contribution]:
    for subdomain, value in pairs(wanted):
        found = declared.get(subdomain)
        match = match_custom(found or [], value)
        points = _points(match, CUSTOM_LABEL_POINTS, CUSTOM_WILDCARD_POINTS)
        yield Contribution(Kind.CUSTOM, f"custom_labels.{subdomain}", value, found, match, points)


def _points(match: Match, exact: int, wildcard: int) -> int:
    if match is Match.NONE:
        return 0
    return exact if match is Match.EXACT else wildcard
