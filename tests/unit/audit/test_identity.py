"""Ids of events whose clients gave none."""

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

import pytest

from datastorage.audit.identity import chosen_at, new_event_id


def millisecond(event_id: UUID) -> int:
    return event_id.int >> 80


def test_form_is_version_4() -> None:
    event_id = new_event_id()

    assert (event_id.version, event_id.variant) == (4, RFC_4122)
    assert UUID(str(event_id)) == event_id


def test_time_is_in_front() -> None:
    before = time.time_ns() // 1_000_000
    event_id = new_event_id()
    after = time.time_ns() // 1_000_000

    assert before <= millisecond(event_id) <= after


def test_later_ids_sort_behind() -> None:
    ids = [new_event_id() for _ in range(5000)]

    assert list(map(millisecond, ids)) == sorted(map(millisecond, ids))
    assert millisecond(ids[-1]) > millisecond(ids[0])


def test_ids_of_one_millisecond_differ_in_all_their_random_bits() -> None:
    seen = [new_event_id().int for _ in range(2000)]

    changing = 0
    for each in seen:
        changing |= each ^ seen[0]
    # Version and variant never change, everything else behind the time does.
    fixed = 0xF << 76 | 0b11 << 62
    assert changing & ((1 << 80) - 1) == ((1 << 80) - 1) & ~fixed


def test_own_id_says_when_it_was_chosen() -> None:
    event_id = new_event_id()

    at = chosen_at(event_id)

    assert at is not None
    assert int(at.timestamp() * 1000) in range(millisecond(event_id) - 1, millisecond(event_id) + 2)


@pytest.mark.parametrize(
    ("event_id", "looks_chosen"),
    [
        ("01941f29-7bff-4fff-bfff-ffffffffffff", False),
        ("01941f29-7c00-4000-8000-000000000000", True),
        ("01941f29-7c00-7000-8000-000000000000", False),
        ("0fffffff-ffff-4fff-bfff-ffffffffffff", False),
        ("f47ac10b-58cc-4372-a567-0e02b2c3d479", False),
    ],
    ids=["before 2025", "2025", "of version 7", "in the far future", "random"],
)
def test_other_ids_do_not_look_chosen(event_id: str, *, looks_chosen: bool) -> None:
    assert (chosen_at(UUID(event_id)) is not None) == looks_chosen


def test_id_of_tomorrow_looks_chosen_and_one_of_later_does_not() -> None:
    now = time.time_ns() // 1_000_000
    hour = 3_600_000

    found = [chosen_at(UUID(int=now + hours * hour << 80, version=4)) for hours in (23, 25)]

    assert [at is not None for at in found] == [True, False]


def test_threads_never_share_an_id() -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: [new_event_id() for _ in range(2000)], range(8)))

    assert len({each for some in found for each in some}) == 16_000
