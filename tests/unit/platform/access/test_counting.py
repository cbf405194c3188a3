"""A limit in memory counts in sliding windows, for a bounded number of callers."""

import threading

import pytest

from datastorage.platform.access import counting
from datastorage.platform.access.counting import RateLimit
from datastorage.platform.metrics import Metrics
from datastorage.settings import Rate
from tests.support.clocks import Seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    clock = Seconds()
    clock.now = 600.0
    monkeypatch.setattr(counting, "monotonic_seconds", clock)
    return clock


def a_limit(amount: int = 10, seconds: int = 60, workers: int = 1) -> RateLimit:
    return RateLimit("read", Rate(amount, seconds), workers, None, Metrics())


def passed(limit: RateLimit, times: int, key: str = "ana") -> int:
    return sum(not limit.count(key).is_exceeded for _ in range(times))


def test_no_more_pass_in_a_window_than_the_rate_allows(clock: Seconds) -> None:
    limit = a_limit()

    assert passed(limit, 12) == 10
    assert passed(limit, 1, "bob") == 1
    assert (limit.look("ana").remaining, limit.look("ana").reset_seconds) == (0, 60)
    clock.now += 59.5
    assert limit.look("ana").reset_seconds == 1
    assert passed(limit, 1) == 0


def test_window_before_counts_as_far_as_it_is_not_over(clock: Seconds) -> None:
    limit = a_limit()
    passed(limit, 10)

    clock.now += 90

    assert limit.look("ana").remaining == 5
    assert passed(limit, 12) == 5
    clock.now += 120
    assert passed(limit, 12) == 10


def test_a_look_counts_nothing(clock: Seconds) -> None:
    del clock
    limit = a_limit()

    remaining = {limit.look("ana").remaining for _ in range(20)}

    assert remaining == {10}


@pytest.mark.parametrize(("before", "after_seconds"), [(10, 0), (10, 61), (10, 75), (7, 100), (3, 119)])
def test_request_passes_when_the_refused_one_was_told(
    clock: Seconds, before: int, after_seconds: float
) -> None:
    limit = a_limit()
    passed(limit, before)
    clock.now += after_seconds
    passed(limit, 10)
    refused = limit.count("ana")
    assert refused.is_exceeded

    clock.now += refused.reset_seconds + 0.001

    assert not limit.count("ana").is_exceeded


def test_workers_share_a_rate_and_round_up(clock: Seconds) -> None:
    del clock
    assert passed(a_limit(amount=10, workers=4), 12) == 3


def test_callers_beyond_a_number_share_one_count(clock: Seconds, monkeypatch: pytest.MonkeyPatch) -> None:
    del clock
    monkeypatch.setattr(counting, "MAX_KEYS", 2)
    limit = a_limit(amount=2)
    for key in ("ana", "bob"):
        passed(limit, 1, key)

    assert [passed(limit, 1, key) for key in ("c", "d", "e")] == [1, 1, 0]
    assert passed(limit, 1, "ana") == 1


def test_counting_starts_no_threads() -> None:
    limit = a_limit()
    before = threading.active_count()

    passed(limit, 100)

    assert threading.active_count() == before
