"""From the rounds of a scenario to one line: median, baseline, ratio, spread, and whether the goal is met."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HEADER = (
    "SCENARIO", "VALUE", "UNIT", "BASELINE", "RATIO", "SPREAD",
    "SERVICE", "DATABASE", "FAILED", "GOAL", "MET",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for the value or for the ratio of a figure."""

    bound: float
    of: str = "value"
    is_least: bool = False

    def __str__(self) -> str:
        subject = "" if self.of == "value" else f"{self.of} "
        return f"{subject}{'>=' if self.is_least else '<='} {self.bound:g}"

    def is_met_by(self, value: float, ratio: float) -> bool:
        """Tell whether the figure keeps within the bound."""
        judged = value if self.of == "value" else ratio
        return judged >= self.bound if self.is_least else judged <= self.bound


@dataclass(frozen=True, slots=True)
class Round:
    """What one round measured, and its baseline a moment before or after; in the same unit.

    ``service_ms`` and ``database_ms`` are processor time for each piece of work.
    """

    value: float
    baseline: float
    service_ms: float | None = None
    database_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result; spreads are (highest - lowest round) / median."""

    name: str
    value: float
    unit: str
    baseline: float
    ratio: float
    goal: str | None
    met: bool | None
    spread: float
    rounds: int
    failed: int
    ratio_spread: float = 0.0
    service_ms: float | None = None
    database_ms: float | None = None


def figure(
    name: str, unit: str, rounds: Sequence[Round], *, goal: Goal | None = None, failed: int = 0
) -> Figure:
    """Sum up rounds; the ratio is the median of each round's own, so that a slow minute touches both sides.

    Requests that failed make a goal missed: a refusal is always fast.
    """
    values = [each.value for each in rounds]
    value = statistics.median(values)
    ratios = [each.value / each.baseline for each in rounds]
    ratio = statistics.median(ratios)
    return Figure(
        name=name,
        value=round(value, 3),
        unit=unit,
        baseline=round(statistics.median(each.baseline for each in rounds), 3),
        ratio=round(ratio, 3),
        goal=None if goal is None else str(goal),
        met=None if goal is None else goal.is_met_by(value, ratio) and not failed,
        spread=_spread(values, value),
        rounds=len(rounds),
        failed=failed,
        ratio_spread=_spread(ratios, ratio),
        service_ms=_median_of_known([each.service_ms for each in rounds]),
        database_ms=_median_of_known([each.database_ms for each in rounds]),
    )


def _spread(values: Sequence[float], median: float) -> float:
    return round((max(values) - min(values)) / median, 3) if median else 0.0


def _median_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 4) if known else None


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as lines of text."""
    rows = [HEADER, *map(_cells, figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _cells(line: Figure) -> tuple[str, ...]:
    met = {None: "", True: "yes", False: "NO"}[line.met]
    numbers = (
        _short(line.value),
        line.unit,
        _short(line.baseline),
        f"{line.ratio:.2f}",
        f"{line.spread:.0%}",
    )
    processor = (_short(line.service_ms), _short(line.database_ms))
    return (line.name, *numbers, *processor, str(line.failed), line.goal or "", met)


def _short(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"  # noqa: PLR2004 - three digits tell enough


def write(figures: Sequence[Figure], file: Path, **about: Any) -> None:
    """Write the figures, and what is to be known about the run, as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    document = about | {"scenarios": [asdict(each) for each in figures]}
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
