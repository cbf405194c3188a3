"""Reads leave connections to writes, and wait no longer than they still may."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from time import monotonic

from datastorage.platform.db.slots import Slots
from datastorage.platform.request_class import RequestClass, Standing, standing_of_request


@contextmanager
def standing(request_class: RequestClass, waited_seconds: float = 0.0) -> Iterator[None]:
    token = standing_of_request.set(Standing(request_class, waited_seconds))
    yield
    standing_of_request.reset(token)


def test_reads_hold_no_connection_that_is_kept_for_writes() -> None:
    slots = Slots(4, 3)

    with standing(RequestClass.READ):
        taken = [slots.take(0) for _ in range(4)]
    with standing(RequestClass.WRITE):
        written = slots.take(0)

    assert [bool(each) for each in taken] == [True, True, True, False]
    assert written
    slots.give_back(taken[0])
    with standing(RequestClass.READ):
        assert slots.take(0)


def test_read_that_gets_no_connection_leaves_its_place_among_reads() -> None:
    slots = Slots(2, 1)
    with standing(RequestClass.WRITE):
        held = [slots.take(0), slots.take(0)]

    with standing(RequestClass.READ):
        assert not slots.take(0)
        slots.give_back(held[0])
        assert slots.take(0)


def test_wait_for_the_thread_shortens_that_for_the_connection() -> None:
    slots = Slots(1, 1)
    slots.take(0)

    with standing(RequestClass.READ, waited_seconds=9.9):
        begun = monotonic()
        assert not slots.take(10)

    assert 0.05 < monotonic() - begun < 1


def test_background_work_counts_as_writing() -> None:
    slots = Slots(2, 1)

    taken = [copy_context().run(slots.take, 0) for _ in range(2)]

    assert all(taken)
