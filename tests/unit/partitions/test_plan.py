from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

import pytest

from datastorage.partitions.plan import (
    AUDIT_EVENTS,
    FIRST_MONTH,
    Month,
    months_covered_ahead,
    months_needed,
)

MID_JANUARY = datetime(2026, 1, 14, 8, tzinfo=UTC)


def names(months: list[Month]) -> list[str]:
    return [str(month) for month in months]


def test_month_is_written_like_a_partition_name() -> None:
    assert str(Month(2026, 3)) == "2026_03"


def test_month_of_an_instant_is_the_one_in_utc() -> None:
    zone = timezone(timedelta(hours=1))

    assert Month.of(datetime(2026, 2, 1, 0, 30, tzinfo=zone)) == Month(2026, 1)
    assert Month.of(date(2026, 2, 1)) == Month(2026, 2)


def test_months_follow_each_other_over_the_turn_of_the_year() -> None:
    assert Month(2025, 12).next() == Month(2026, 1)
    assert Month(2026, 1).previous() == Month(2025, 12)
    assert Month(2026, 11).next() == Month(2026, 12)
    assert Month(2026, 12).previous() == Month(2026, 11)


def test_months_sort_by_time() -> None:
    assert sorted([Month(2026, 2), Month(2025, 12)]) == [Month(2025, 12), Month(2026, 2)]


def test_month_begins_on_its_first_day() -> None:
    assert Month(2026, 2).first_day == date(2026, 2, 1)


def test_previous_current_and_next_months_are_needed() -> None:
    needed = months_needed(MID_JANUARY, 3, timedelta(days=7))

    assert names(needed) == ["2025_12", "2026_01", "2026_02", "2026_03", "2026_04"]


@pytest.mark.parametrize(("ahead", "last"), [(0, "2026_01"), (1, "2026_02"), (12, "2027_01")])
def test_months_ahead_decides_the_last_month(ahead: int, last: str) -> None:
    assert names(months_needed(MID_JANUARY, ahead, None))[-1] == last


@pytest.mark.parametrize(
    ("age", "first"),
    [
        (timedelta(days=7), "2025_12"),
        (timedelta(days=44, hours=7), "2025_12"),
        (timedelta(days=44, hours=8, microseconds=1), "2025_11"),
        (timedelta(days=400), "2024_12"),
        (None, "2025_12"),
    ],
)
def test_oldest_accepted_event_decides_the_first_month(age: timedelta | None, first: str) -> None:
    assert names(months_needed(MID_JANUARY, 3, age))[0] == first


def test_months_before_the_first_possible_one_are_not_asked_for() -> None:
    assert months_needed(MID_JANUARY, 0, timedelta(days=365 * 100))[0] == FIRST_MONTH


def test_needed_months_have_no_gap() -> None:
    needed = months_needed(MID_JANUARY, 2, timedelta(days=500))

    assert all(earlier.next() == later for earlier, later in pairwise(needed))


def test_covered_months_are_counted_up_to_the_first_gap() -> None:
    existing = {Month(2025, 12), Month(2026, 1), Month(2026, 2), Month(2026, 3), Month(2026, 5)}

    assert months_covered_ahead(existing, Month(2026, 1)) == 2
    assert months_covered_ahead(existing, Month(2026, 3)) == 0


@pytest.mark.parametrize(
    ("partition", "month"),
    [
        ("audit_events_2026_01", Month(2026, 1)),
        ("audit_events_2026_13", None),
        ("audit_events_2026_1", None),
        ("audit_events_2026_01_old", None),
        ("audit_events_archive", None),
        ("audit_events", None),
        ("_2026_01", None),
        ("notification_audit", None),
    ],
)
def test_month_is_read_from_the_name_of_a_partition(partition: str, month: Month | None) -> None:
    assert AUDIT_EVENTS.month_of(partition) == month
