import logging
from collections.abc import Callable
from datetime import timedelta
from queue import Queue
from threading import Event, current_thread

import pytest

from datastorage.platform.loop import Loop

NOW_AND_THEN = timedelta(milliseconds=1)
NEVER = timedelta(hours=1)
LONG_ENOUGH = timedelta(seconds=10)


def after(rounds: int, reached: Event, *, error: Exception | None = None) -> Callable[[], None]:
    """Return a function that sets ``reached`` when called for the n-th time."""
    calls: Queue[None] = Queue()

    def run_once() -> None:
        calls.put(None)
        if calls.qsize() >= rounds:
            reached.set()
        if error is not None:
            raise error

    return run_once


def test_first_round_begins_at_once() -> None:
    reached = Event()
    loop = Loop("rounds", after(1, reached), NEVER)

    loop.start()

    assert reached.wait(LONG_ENOUGH.total_seconds())
    assert loop.stop(LONG_ENOUGH)


def test_rounds_repeat() -> None:
    reached = Event()
    loop = Loop("rounds", after(3, reached), NOW_AND_THEN)

    loop.start()

    assert reached.wait(LONG_ENOUGH.total_seconds())
    assert loop.stop(LONG_ENOUGH)


def test_failed_round_is_logged_and_the_next_one_follows(caplog: pytest.LogCaptureFixture) -> None:
    reached = Event()
    loop = Loop("rounds", after(2, reached, error=ValueError("broken")), NOW_AND_THEN)

    with caplog.at_level(logging.ERROR):
        loop.start()
        again = reached.wait(LONG_ENOUGH.total_seconds())
        loop.stop(LONG_ENOUGH)

    assert again
    assert caplog.records[0].getMessage() == "Background work failed"
    assert caplog.records[0].__dict__["loop"] == "rounds"
    assert caplog.records[0].exc_info is not None


def test_failed_round_is_repeated_sooner_than_a_good_one() -> None:
    reached = Event()
    failing = after(3, reached, error=ValueError("broken"))
    loop = Loop("rounds", failing, NEVER, retry_interval=NOW_AND_THEN)

    loop.start()

    assert reached.wait(LONG_ENOUGH.total_seconds())
    assert loop.stop(LONG_ENOUGH)


def test_stop_ends_the_pause_between_rounds() -> None:
    reached = Event()
    loop = Loop("rounds", after(1, reached), NEVER)
    loop.start()
    reached.wait(LONG_ENOUGH.total_seconds())

    assert loop.stop(LONG_ENOUGH)


def test_stop_tells_when_a_round_takes_longer() -> None:
    started, may_end = Event(), Event()

    def run_once() -> None:
        started.set()
        may_end.wait()

    loop = Loop("rounds", run_once, NEVER)
    loop.start()
    started.wait()

    assert not loop.stop(NOW_AND_THEN)

    may_end.set()
    assert loop.stop(LONG_ENOUGH)


def test_loop_that_never_started_is_stopped_already() -> None:
    assert Loop("rounds", lambda: None, NEVER).stop(LONG_ENOUGH)


def test_thread_carries_the_name_and_does_not_keep_the_process_alive() -> None:
    seen: Queue[tuple[str, bool]] = Queue()
    loop = Loop("rounds", lambda: seen.put((current_thread().name, current_thread().daemon)), NEVER)

    loop.start()

    assert seen.get(timeout=LONG_ENOUGH.total_seconds()) == ("rounds", True)
    assert loop.stop(LONG_ENOUGH)
