"""From the rounds of a scenario to one line: median, baseline, ratio, spread, and whether the goal is met."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HEADER = ("SCENARIO", "VALUE", "UNIT", "BASELINE", "RATIO", "SPREAD", "FAILED", "GOAL", "MET")


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
    """What one round measured, and its baseline a moment before or after; in the same unit."""

    value: float
    baseline: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result; ``spread`` is (highest - lowest round) / median."""

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


def figure(
    name: str, unit: str, rounds: Sequence[Round], *, goal: Goal | None = None, failed: int = 0
) -> Figure:
    """Sum up rounds; the ratio is the median of each round's own, so that a slow minute touches both sides.

    Requests that failed make a goal missed: a refusal is always fast.
    """
    values = [each.value for each in rounds]
    value = statistics.median(values)
    ratio = statistics.median(each.value / each.baseline for each in rounds)
    return Figure(
        name=name,
        value=round(value, 3),
        unit=unit,
        baseline=round(statistics.median(each.baseline for each in rounds), 3),
        ratio=round(ratio, 3),
        goal=None if goal is None else str(goal),
        met=None if goal is None else goal.is_met_by(value, ratio) and not failed,
        spread=round((max(values) - min(values)) / value, 3),
        rounds=len(rounds),
        failed=failed,
    )


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as lines of text."""
    rows = [HEADER, *map(_cells, figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _cells(line: Figure) -> tuple[str, ...]:
    met = {None: "", True: "yes", False: "NO"}[line.met]
    numbers = (_short(line.value), line.unit, _short(line.baseline), f"{line.ratio:.2f}")
    return (line.name, *numbers, f"{line.spread:.0%}", str(line.failed), line.goal or "", met)


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"  # noqa: PLR2004 - three digits tell enough


def write(figures: Sequence[Figure], file: Path, **about: Any) -> None:
    """Write the figures, and what is to be known about the run, as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    document = about | {"scenarios": [asdict(each) for each in figures]}
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
