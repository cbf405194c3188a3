"""Requests wait for threads of their class, first come first served."""

from dataclasses import dataclass

import pytest

from datastorage.platform.request_class import RequestClass
from datastorage.platform.server.thread_queue import ClassLimits, ThreadQueue
from tests.support.clocks import Seconds

READ, WRITE = RequestClass


@dataclass(eq=False)
class Conn:
    """A connection whose request has arrived."""

    request_class: RequestClass
    waited_seconds: float = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    clock = Seconds()
    monkeypatch.setattr("datastorage.platform.server.thread_queue.monotonic_seconds", clock)
    return clock


@pytest.fixture
def started() -> list[Conn]:
    return []


@pytest.fixture
def queue(clock: Seconds, started: list[Conn]) -> ThreadQueue:
    """Four threads, three of which reads may hold."""
    del clock
    return ThreadQueue({READ: ClassLimits(3, 10), WRITE: ClassLimits(4, 30)}, started.append)


def added(queue: ThreadQueue, *classes: RequestClass) -> list[Conn]:
    conns = [Conn(each) for each in classes]
    for conn in conns:
        queue.add(conn)
    return conns


def test_reads_leave_a_thread_to_writes(queue: ThreadQueue, started: list[Conn]) -> None:
    conns = added(queue, READ, READ, READ, READ, WRITE)

    assert started == [*conns[:3], conns[4]]
    assert (queue.waiting(READ), queue.waiting(WRITE), queue.has_waiting) == (1, 0, True)


def test_writes_may_hold_every_thread(queue: ThreadQueue, started: list[Conn]) -> None:
    conns = added(queue, WRITE, WRITE, WRITE, WRITE, WRITE, READ)

    assert started == conns[:4]


def test_whoever_came_first_is_served_first(queue: ThreadQueue, clock: Seconds, started: list[Conn]) -> None:
    added(queue, WRITE, WRITE, WRITE, WRITE)
    waiting = []
    for each in (READ, WRITE, READ, WRITE):
        waiting += added(queue, each)
        clock.now += 1

    for _ in waiting:
        queue.finish(WRITE)

    assert started[4:] == waiting
    assert [conn.waited_seconds for conn in waiting] == [4, 3, 2, 1]


def test_read_whose_class_is_full_is_passed_over(
    queue: ThreadQueue, clock: Seconds, started: list[Conn]
) -> None:
    added(queue, READ, READ, READ, WRITE)
    early_read, late_write = added(queue, READ)[0], None
    clock.now += 1
    late_write = added(queue, WRITE)[0]

    queue.finish(WRITE)
    assert started[4:] == [late_write]
    queue.finish(READ)

    assert started[4:] == [late_write, early_read]


def test_each_class_waits_as_long_as_it_may(queue: ThreadQueue, clock: Seconds) -> None:
    added(queue, WRITE, WRITE, WRITE, WRITE)
    read, write = added(queue, READ, WRITE)

    clock.now += 9
    assert queue.expired() == []
    clock.now += 1
    assert queue.expired() == [read]
    clock.now += 20

    assert queue.expired() == [write]
    assert not queue.has_waiting
