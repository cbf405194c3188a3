"""Who shares a transaction with whom, seen through a reader that answers when it is told to."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import pytest

from datastorage.errors import QueryTimeout
from datastorage.incidents.reading.model import FoundPage, PageRequest
from datastorage.incidents.reading.shared_pages import MOST_PAGES, SharedPages
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.db.stretches import Stretch
from tests.support.incident_filters import incidents
from tests.support.waiting import eventually

PATIENCE_SECONDS = 30


class Reading:
    """A transaction under way."""

    def __init__(self, pages: Sequence[PageRequest], waited_seconds: float) -> None:
        self.limits = [page.limit for page in pages]
        self.waited_seconds = waited_seconds
        self.outcome: Future[int] = Future()

    def answer(self, total: int) -> None:
        self.outcome.set_result(total)


def found(limit: int, total: int | None) -> FoundPage:
    return FoundPage(Stretch([f"row of {limit}"]), total)


class Stand:
    """Shared pages over a reader that waits for its answer, and a thread for each request."""

    def __init__(self, threads: ThreadPoolExecutor, **options: Any) -> None:
        self.readings: SimpleQueue[Reading] = SimpleQueue()
        self.pages = SharedPages(self.read, **({"longest_wait_seconds": PATIENCE_SECONDS} | options))
        self._threads = threads

    def read(self, pages: Sequence[PageRequest], waited_seconds: float) -> list[FoundPage]:
        reading = Reading(pages, waited_seconds)
        self.readings.put(reading)
        total = reading.outcome.result(PATIENCE_SECONDS)
        return [found(page.limit, total) for page in pages]

    def ask(self, limit: int = 1, *, is_counted: bool = True, **equals: str) -> Future[FoundPage]:
        wanted = PageRequest(filter=incidents(**equals), limit=limit, is_counted=is_counted)
        return self._threads.submit(self.pages.find, wanted)

    def gather(self, *limits: int) -> list[Future[FoundPage]]:
        """Ask one after another, each when the one before has joined the others."""
        asked = []
        for limit in limits:
            asked.append(self.ask(limit))
            eventually(lambda: self.is_waited_for(limit))  # noqa: B023 - waited for at once
        return asked

    def is_waited_for(self, limit: int) -> bool:
        """Tell whether a request with this limit is in the gathering that is still open."""
        waiting = self.pages._open.values()
        return any(page.limit == limit for each in waiting for page in list(each.pages.values()))

    def next_reading(self) -> Reading:
        return self.readings.get(timeout=PATIENCE_SECONDS)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as threads:
        yield threads


@pytest.fixture
def stand(threads: ThreadPoolExecutor) -> Stand:
    return Stand(threads)


def test_request_alone_is_read_at_once(stand: Stand) -> None:
    asked = stand.ask(limit=7)

    reading = stand.next_reading()
    reading.answer(41)

    assert reading.limits == [7]
    assert reading.waited_seconds < 1
    assert asked.result() == found(7, 41)


def test_requests_share_the_transaction_after_the_one_that_runs(stand: Stand) -> None:
    early = stand.ask(limit=1)
    running = stand.next_reading()
    late = stand.gather(2, 3)

    running.answer(10)
    shared = stand.next_reading()
    assert early.result().total == 10
    assert not any(each.done() for each in late)
    shared.answer(11)

    assert shared.limits == [2, 3]
    assert [each.result() for each in late] == [found(2, 11), found(3, 11)]


def test_request_never_joins_a_transaction_that_has_begun(stand: Stand) -> None:
    stand.ask()
    running = stand.next_reading()
    (late,) = stand.gather(1)
    running.answer(10)
    stand.next_reading().answer(11)

    assert late.result().total == 11


def test_other_filters_do_not_wait(stand: Stand) -> None:
    stand.ask()
    running = stand.next_reading()

    other = stand.ask(namespace="production")
    stand.next_reading().answer(3)

    assert other.result().total == 3
    running.answer(10)


def test_other_pages_do_not_wait_when_nothing_is_counted(stand: Stand) -> None:
    stand.ask(is_counted=False)
    running = stand.next_reading()

    same, other = stand.ask(is_counted=False), stand.ask(limit=2, is_counted=False)
    beside = stand.next_reading()
    beside.answer(3)
    running.answer(4)
    stand.next_reading().answer(5)

    assert beside.limits == [2]
    assert (other.result().total, same.result().total) == (3, 5)


def test_fault_reaches_everybody_in_a_copy_of_their_own(stand: Stand) -> None:
    stand.ask()
    running = stand.next_reading()
    asked = stand.gather(2, 3, 4)
    running.answer(10)

    stand.next_reading().outcome.set_exception(QueryTimeout("too slow", reason="timeout"))

    errors = [each.exception() for each in asked]
    assert [(type(error), str(error)) for error in errors] == [(QueryTimeout, "too slow")] * 3
    assert len(set(map(id, errors))) == 3
    again = stand.ask()
    stand.next_reading().answer(12)
    assert again.result().total == 12


def test_full_transaction_leaves_the_rest_to_the_one_after(stand: Stand) -> None:
    stand.ask()
    running = stand.next_reading()
    asked = stand.gather(*range(1, MOST_PAGES + 2))
    running.answer(10)

    first = stand.next_reading()
    first.answer(11)
    second = stand.next_reading()
    second.answer(12)

    assert sorted(map(len, (first.limits, second.limits))) == [1, MOST_PAGES]
    assert sorted(first.limits + second.limits) == list(range(1, MOST_PAGES + 2))
    assert {each.result().total for each in asked} == {11, 12}


def test_slow_transaction_is_waited_for_only_so_long(threads: ThreadPoolExecutor) -> None:
    stand = Stand(threads, longest_wait_seconds=0.05)
    slow = stand.ask()
    running = stand.next_reading()

    impatient = stand.ask()
    beside = stand.next_reading()
    beside.answer(11)

    assert 0.05 <= beside.waited_seconds < PATIENCE_SECONDS
    assert impatient.result().total == 11
    assert not slow.done()
    running.answer(10)


def test_company_is_waited_for_after_a_shared_transaction_and_not_after_a_lonely_one(stand: Stand) -> None:
    stand.ask()
    lonely = stand.next_reading()
    asked = stand.gather(2, 3)
    lonely.answer(10)
    shared = stand.next_reading()
    began = monotonic_seconds()
    eventually(lambda: monotonic_seconds() - began > 0.1)
    shared.answer(11)
    assert {each.result().total for each in asked} == {11}

    next_one = stand.ask()
    put_off = stand.next_reading()
    put_off.answer(12)
    assert next_one.result().total == 12
    last_one = stand.ask()
    at_once = stand.next_reading()
    at_once.answer(13)

    assert put_off.waited_seconds > 0.01
    assert at_once.waited_seconds < put_off.waited_seconds
    assert last_one.result().total == 13
