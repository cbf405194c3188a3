from datetime import UTC, date, datetime

import pytest

from datastorage.incidents.aggregates.model import DayCount
from datastorage.incidents.aggregates.rates import OutcomeCounts, confidence_of
from datastorage.incidents.aggregates.service import fill_days, largest_first


@pytest.mark.parametrize(
    ("executions", "confidence"),
    [
        (0, "insufficient_data"),
        (4, "insufficient_data"),
        (5, "low"),
        (19, "low"),
        (20, "medium"),
        (99, "medium"),
        (100, "high"),
        (10**9, "high"),
    ],
)
def test_confidence_depends_on_executions_alone(executions: int, confidence: str) -> None:
    assert confidence_of(executions) == confidence


def test_rate_of_nothing_is_zero() -> None:
    assert (OutcomeCounts().success_fraction, OutcomeCounts().success_percent) == (0.0, 0.0)


def test_percentage_is_not_rounded() -> None:
    counts = OutcomeCounts(total=22, succeeded=20, failed=1)

    assert counts.success_percent == 90.9090909090909
    assert counts.success_fraction == 20 / 22


def test_counts_add_up() -> None:
    both = [OutcomeCounts(1, 2, 3, 4, 5, 6), OutcomeCounts(10, 20, 30, 40, 50, 60)]

    assert OutcomeCounts.sum_of([]) == OutcomeCounts()
    assert OutcomeCounts.sum_of(both) == OutcomeCounts(11, 22, 33, 44, 55, 66)


def test_groups_come_by_size_then_by_code_point_and_without_a_key_not_at_all() -> None:
    sizes: dict[tuple[str | None, ...], int] = {
        ("b", "v1"): 2, ("b", ""): 1, ("a", "v2"): 1, ("a", "v1"): 1,
        (None, ""): 9, ("", "v1"): 9, ("é", "v1"): 1, ("Z", "v1"): 1,
    }  # fmt: skip
    groups = {key: OutcomeCounts(size) for key, size in sizes.items()}

    keys = [key for key, _ in largest_first(groups)]

    assert keys == [("b", "v1"), ("Z", "v1"), ("a", "v1"), ("a", "v2"), ("b", ""), ("é", "v1")]


def test_days_without_incidents_are_filled_in() -> None:
    since, now = datetime(2026, 2, 27, 13, tzinfo=UTC), datetime(2026, 3, 2, 13, tzinfo=UTC)

    filled = fill_days([DayCount(date(2026, 2, 28), 3), DayCount(date(2026, 3, 3), 1)], since, now)

    assert filled == [
        DayCount(date(2026, 2, 27), 0),
        DayCount(date(2026, 2, 28), 3),
        DayCount(date(2026, 3, 1), 0),
        DayCount(date(2026, 3, 2), 0),
        DayCount(date(2026, 3, 3), 1),
    ]
