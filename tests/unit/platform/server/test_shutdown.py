"""The time line: how long each step may take, and how it ends."""

import logging
from collections.abc import Iterator

import pytest

from datastorage.platform.server.shared import InFlightRequests, SharedFlag
from datastorage.platform.server.shutdown import Shutdown
from datastorage.settings import Settings

SERVERS = {
    "DATASTORAGE_DATABASE_URL": "postgresql://app:x@127.0.0.1:1/none",
    "DATASTORAGE_REDIS_URL": "redis://127.0.0.1:1/0",
}


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    """A shutdown stamps the lines of its process, which here is the one of all tests."""
    filters = {handler: list(handler.filters) for handler in logging.getLogger().handlers}
    yield
    for handler, before in filters.items():
        handler.filters[:] = before


def begun(clock: Seconds, **changed: str) -> Shutdown:
    variables = {f"DATASTORAGE_{name}": value for name, value in changed.items()}
    shutdown = Shutdown(SharedFlag(), Settings.from_environ(SERVERS | variables), clock=clock)
    shutdown.begin("SIGTERM")
    return shutdown


def test_flag_is_up_from_the_request_on() -> None:
    flag = SharedFlag()
    shutdown = Shutdown(flag, Settings.from_environ(SERVERS))
    assert not flag()

    shutdown.request("SIGTERM")

    assert flag()
    assert shutdown.is_requested
    assert not shutdown.is_running


def test_wait_counts_from_the_signal_and_not_from_when_it_was_handled(clock: Seconds) -> None:
    shutdown = Shutdown(SharedFlag(), Settings.from_environ(SERVERS), clock=clock)
    shutdown.request("SIGTERM")
    clock.now += 2
    shutdown.begin("SIGTERM")

    assert shutdown.begin_wait() == 3


def test_wait_that_is_over_already_takes_no_time(clock: Seconds) -> None:
    shutdown = begun(clock)
    clock.now += 9

    assert shutdown.begin_wait() == 0


@pytest.mark.parametrize(
    ("elapsed", "seconds"),
    [
        pytest.param(5, 30, id="the cap"),
        pytest.param(10, 28, id="the budget, when it is nearer"),
        pytest.param(60, 1, id="never nothing"),
    ],
)
def test_drain_ends_at_the_cap_or_with_the_budget(clock: Seconds, elapsed: float, seconds: int) -> None:
    shutdown = begun(clock)
    clock.now += elapsed

    assert shutdown.begin_drain(in_flight=0) == seconds


def test_part_of_a_second_counts_as_a_whole_one(clock: Seconds) -> None:
    shutdown = begun(clock, SERVER_SHUTDOWN_TIMEOUT="1500ms")

    assert shutdown.begin_drain(in_flight=0) == 2


@pytest.mark.parametrize(("elapsed", "seconds"), [(5, 10), (28, 10), (35, 3), (38, 0), (50, 0)])
def test_queue_is_drained_in_what_is_left_of_the_budget(
    clock: Seconds, elapsed: float, seconds: float
) -> None:
    shutdown = begun(clock)
    clock.now += elapsed

    assert shutdown.queue_drain_seconds() == seconds


def test_quick_stop_gives_two_seconds_to_workers_and_one_to_the_queue(clock: Seconds) -> None:
    shutdown = begun(clock)
    shutdown.is_quick = True

    assert shutdown.begin_drain(in_flight=0) == 2
    assert shutdown.queue_drain_seconds() == 1


def test_watchdog_fires_a_second_after_the_budget(clock: Seconds) -> None:
    shutdown = begun(clock)
    clock.now += 5

    assert shutdown.seconds_to_watchdog == 34


def test_killed_worker_makes_the_exit_code_one(clock: Seconds) -> None:
    shutdown = begun(clock)
    shutdown.cut_drain(killed_workers=1, in_flight=3)

    assert shutdown.end() == 1
    assert shutdown.reasons == ["http_drain_timeout"]


def test_clean_end_has_exit_code_zero(clock: Seconds) -> None:
    assert begun(clock).end() == 0


def test_requests_are_counted_while_they_run_and_when_they_drained() -> None:
    in_flight = InFlightRequests()

    with in_flight.one_more(), in_flight.one_more():
        assert in_flight.count == 2
    in_flight.drained()

    assert (in_flight.count, in_flight.drained_count) == (0, 1)
