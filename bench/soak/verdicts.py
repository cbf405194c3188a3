"""What a soak says in the end: one line for each quantity, and whether it stayed within its bound."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """One quantity before and after, and whether it stayed.

    Without a bound it is there to explain its neighbours.
    """

    name: str
    first: float
    last: float
    ratio: float | None
    bound: str
    met: bool


def report(verdicts: Sequence[Verdict]) -> str:
    """Return a table for people."""
    lines = [f"{'QUANTITY':24}{'FIRST':>12}{'LAST':>12}{'RATIO':>8}  GOAL      MET"]
    for each in verdicts:
        ratio = "-" if each.ratio is None else f"{each.ratio:.2f}"
        met = ("yes" if each.met else "NO") if each.bound else ""
        lines.append(f"{each.name:24}{each.first:12.5g}{each.last:12.5g}{ratio:>8}  {each.bound:10}{met}")
    return "\n" + "\n".join(lines) + "\n"
