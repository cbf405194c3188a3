"""How often actions succeed, and how much such a number is worth. Pure."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, Self

LOW_SAMPLES = 5
MEDIUM_SAMPLES = 20
HIGH_SAMPLES = 100


class Confidence(StrEnum):
    """How much a rate is worth, by the number of executions behind it."""

    INSUFFICIENT_DATA = "insufficient_data"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


def confidence_of(executions: int) -> Confidence:
    """Return the confidence in a rate of so many executions."""
    if executions >= HIGH_SAMPLES:
        return Confidence.HIGH
    if executions >= MEDIUM_SAMPLES:
        return Confidence.MEDIUM
    return Confidence.LOW if executions >= LOW_SAMPLES else Confidence.INSUFFICIENT_DATA


class OutcomeCounts(NamedTuple):
    """Counts of a group of actions; a status that is neither success nor failure counts in the total only."""

    total: int = 0
    succeeded: int = 0
    failed: int = 0
    catalog_selected: int = 0
    chained: int = 0
    manual_escalation: int = 0

    @classmethod
    def sum_of(cls, groups: Iterable["OutcomeCounts"]) -> Self:
        """Return the counts of all groups together."""
        return cls(*map(sum, zip(*groups, strict=True)))

    @property
    def success_fraction(self) -> float:
        """Successes of all, 0.0 to 1.0; 0.0 of nothing."""
        return self.succeeded / self.total if self.total else 0.0

    @property
    def success_percent(self) -> float:
        """Successes of all, 0.0 to 100.0; 0.0 of nothing."""
        return 100 * self.succeeded / self.total if self.total else 0.0
