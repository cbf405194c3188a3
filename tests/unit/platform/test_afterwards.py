"""Chores of requests are done for many at a time, and never long after."""

import pytest

from datastorage.platform.afterwards import MOST_LEFT, Afterwards


class Chores:
    """Counts how often they were done, and remembers what was in flight."""

    def __init__(self) -> None:
        self.times_done = 0
        self.in_flight: int | None = None

    def do(self) -> None:
        self.times_done += 1

    def show(self, in_flight: int) -> None:
        self.in_flight = in_flight


@pytest.fixture
def chores() -> Chores:
    return Chores()


@pytest.fixture
def afterwards(chores: Chores) -> Afterwards:
    return Afterwards(chores.do, show_in_flight=chores.show)


def test_request_that_is_alone_does_its_chores(afterwards: Afterwards, chores: Chores) -> None:
    for number in range(3):
        afterwards.begin()
        assert chores.times_done == number
        afterwards.answered()
        assert chores.times_done == number + 1
        afterwards.end()


def test_last_of_several_does_the_chores_of_all(afterwards: Afterwards, chores: Chores) -> None:
    for _ in range(3):
        afterwards.begin()

    afterwards.answered()
    afterwards.answered()
    assert chores.times_done == 0
    afterwards.answered()

    assert chores.times_done == 1


def test_crowd_that_never_ends_does_not_wait_for_the_last(afterwards: Afterwards, chores: Chores) -> None:
    afterwards.begin()  # and it lasts

    done = []
    for _ in range(3 * MOST_LEFT):
        afterwards.begin()
        afterwards.answered()
        done.append(chores.times_done)

    assert done == [count // MOST_LEFT for count in range(1, 3 * MOST_LEFT + 1)]


def test_somebody_comes_as_long_as_a_request_is_unanswered(afterwards: Afterwards) -> None:
    before = afterwards.is_busy()
    afterwards.begin()
    during = afterwards.is_busy()
    afterwards.answered()

    assert (before, during, afterwards.is_busy()) == (False, True, False)


def test_catching_up_waits_for_nobody(afterwards: Afterwards, chores: Chores) -> None:
    afterwards.begin()
    afterwards.begin()
    afterwards.answered()

    afterwards.catch_up()

    assert (chores.times_done, chores.in_flight) == (1, 2)


def test_request_is_in_flight_until_its_answer_is_sent(afterwards: Afterwards, chores: Chores) -> None:
    afterwards.begin()
    afterwards.answered()
    afterwards.catch_up()
    while_sending = chores.in_flight
    afterwards.end()
    afterwards.catch_up()

    assert (while_sending, chores.in_flight) == (1, 0)
