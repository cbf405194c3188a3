"""Clients that take their answers slowly are told from others, and cut when they are too many or too slow."""

import socket
from collections.abc import Iterator
from threading import Thread

import pytest

from datastorage.platform.server.quiet_socket import QuietSocket
from datastorage.platform.server.slow_readers import MOST_UNREAD_BYTES, RATE_SECONDS, Sending, SlowReaders
from tests.support.clocks import Seconds
from tests.support.waiting import eventually


class End:
    """A socket of which only the end is of interest."""

    def __init__(self) -> None:
        self.is_cut = False

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None:
        """Take any option."""

    def shutdown(self, how: int, /) -> None:
        """Be cut."""
        del how
        self.is_cut = True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    clock = Seconds()
    monkeypatch.setattr("datastorage.platform.server.slow_readers.monotonic_seconds", clock)
    return clock


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def readers(clock: Seconds, told: list[str]) -> SlowReaders:
    del clock
    return SlowReaders(2, 1000, lambda reason, address: told.append(f"{reason} {address}"))


def blocked(readers: SlowReaders, address: str = "192.0.2.1") -> tuple[Sending, End]:
    end = End()
    sending = readers.begin(end, address)
    sending.blocks()
    return sending, end


def test_client_is_slow_after_a_second_and_until_its_answer_is_sent(
    readers: SlowReaders, clock: Seconds
) -> None:
    sending, _ = blocked(readers)
    counts = [readers.count]
    clock.now += 1.1
    counts.append(readers.count)
    sending.unblocks()
    counts.append(readers.count)
    readers.end(sending)
    counts.append(readers.count)

    assert counts == [0, 1, 1, 0]


def test_the_one_slow_longest_is_cut_when_a_request_waits(
    readers: SlowReaders, clock: Seconds, told: list[str]
) -> None:
    ends = []
    for number in range(3):
        ends.append(blocked(readers, f"192.0.2.{number}")[1])
        clock.now += 2

    readers.cut(is_thread_wanted=False)
    assert [each.is_cut for each in ends] == [False] * 3
    for _ in range(3):
        readers.cut(is_thread_wanted=True)

    assert [each.is_cut for each in ends] == [True, False, False]
    assert told == ["slow_reader 192.0.2.0"]


def test_client_below_the_rate_is_cut(readers: SlowReaders, clock: Seconds) -> None:
    dripping, drip = blocked(readers)
    steady, stream = blocked(readers)
    for _ in range(int(RATE_SECONDS)):
        clock.now += 1
        for sending, taken in ((dripping, 900), (steady, 1100)):
            sending.sent(taken, unread_bytes=0)
        readers.cut(is_thread_wanted=False)

    assert (drip.is_cut, stream.is_cut) == (True, False)


def test_time_in_which_nothing_is_sent_does_not_count(readers: SlowReaders, clock: Seconds) -> None:
    """The service may take its time between two pages of an export."""
    sending, end = blocked(readers)
    clock.now += 5
    sending.unblocks()
    clock.now += 60
    readers.cut(is_thread_wanted=False)
    sending.blocks()
    clock.now += 5
    readers.cut(is_thread_wanted=False)

    assert not end.is_cut


def test_rate_is_measured_anew_after_each_window(readers: SlowReaders, clock: Seconds) -> None:
    sending, end = blocked(readers)
    sending.sent(1_000_000, unread_bytes=0)
    clock.now += RATE_SECONDS
    readers.cut(is_thread_wanted=False)
    assert not end.is_cut

    clock.now += RATE_SECONDS
    readers.cut(is_thread_wanted=False)

    assert end.is_cut


def test_those_slow_longest_are_cut_when_too_much_is_left_unread(
    readers: SlowReaders, clock: Seconds
) -> None:
    pages = []
    for _ in range(4):
        sending, end = blocked(readers)
        sending.sent(100_000_000, unread_bytes=MOST_UNREAD_BYTES // 3 + 1)
        pages.append(end)
        clock.now += 2

    readers.cut(is_thread_wanted=False)

    assert [page.is_cut for page in pages] == [True, True, False, False]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_send_that_blocks_is_watched_and_can_be_cut(pair: tuple[socket.socket, socket.socket]) -> None:
    readers = SlowReaders(0, 0, lambda _reason, _address: None)
    quiet = QuietSocket(pair[0], "192.0.2.1", readers)
    failures: list[OSError] = []

    def send() -> None:
        try:
            quiet.sendall(b"x" * 10_000_000)
        except OSError as error:
            failures.append(error)
        quiet.forget()

    sender = Thread(target=send)
    sender.start()
    eventually(lambda: readers.count == 1, timeout_seconds=5)
    readers.cut(is_thread_wanted=True)
    sender.join(10)

    assert isinstance(failures[0], BrokenPipeError)
    assert readers.count == 0
    quiet.close()


def test_answer_that_its_client_takes_arrives_whole(pair: tuple[socket.socket, socket.socket]) -> None:
    quiet = QuietSocket(pair[0], "192.0.2.1", SlowReaders(1, 0, lambda _reason, _address: None))
    answer = bytes(range(256)) * 40_000

    sender = Thread(target=quiet.sendall, args=(answer,))
    sender.start()
    received = b""
    while len(received) < len(answer):
        received += pair[1].recv(1 << 20)
    sender.join(10)

    assert received == answer
    quiet.close()
