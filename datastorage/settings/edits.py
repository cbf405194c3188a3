"""How far two names are apart: insertions, deletions, replacements, and swaps of neighbours."""

from typing import Final

MOST_EDITS: Final = 2


def within_two_edits(one: str, other: str) -> bool:
    """Tell whether at most two edits make one name the other."""
    return abs(len(one) - len(other)) <= MOST_EDITS and _edits(one, other) <= MOST_EDITS


def _edits(one: str, other: str) -> int:
    """Return the optimal string alignment distance, one row of its table at a time."""
    before_last: list[int] = []
    last = list(range(len(other) + 1))
    for row, char in enumerate(one, start=1):
        current = [row]
        for column, target in enumerate(other, start=1):
            cheapest = min(last[column] + 1, current[-1] + 1, last[column - 1] + (char != target))
            if row > 1 and column > 1 and (char, one[row - 2]) == (other[column - 2], target):
                cheapest = min(cheapest, before_last[column - 2] + 1)
            current.append(cheapest)
        before_last, last = last, current
    return last[-1]
