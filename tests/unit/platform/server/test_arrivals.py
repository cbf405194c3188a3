"""Connections wait for their requests without a thread, each for a bounded time."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from selectors import BaseSelector, DefaultSelector

import pytest
from gunicorn.config import Config

from datastorage.platform.server.arrivals import CHUNKED_THREADS, Actions, Arrivals, Limits
from datastorage.platform.server.body_budget import SMALL_BODY_BYTES, BodyBudget
from datastorage.platform.server.goodbyes import GOODBYES, Goodbyes
from datastorage.platform.server.quiet_socket import QuietSocket
from datastorage.platform.server.slow_clients import PatientConnection
from datastorage.platform.server.slow_readers import SlowReaders
from datastorage.settings import ServerSettings
from tests.support.clocks import Seconds

GET = b"GET / HTTP/1.1\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
LARGE = 2 * SMALL_BODY_BYTES
NO_SLOW_READERS = SlowReaders(1, 0, lambda _reason, _address: None)


def posting(length: int, path: bytes = b"/") -> bytes:
    return b"POST %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (path, length)


@dataclass
class Worker:
    """What a worker does with its connections, written down."""

    ends: ExitStack
    poller: BaseSelector
    clock: Seconds
    limits: Limits = field(default=Limits(15, 10, 30, 100, 100, lambda _: False))
    dispatched: list[PatientConnection] = field(default_factory=list)
    closed: list[PatientConnection] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        actions = Actions(self.dispatch, self.close, lambda reason, _: self.reasons.append(reason))
        self.goodbyes = Goodbyes(self.poller, LARGE, self.close)
        self.arrivals = Arrivals(self.poller, self.limits, BodyBudget(2 * LARGE), self.goodbyes, actions)

    def dispatch(self, conn: PatientConnection) -> None:
        """Admit what shows its head, unless its path says no; keep the others."""
        arrival = conn.arrival
        if not arrival.is_head_alone or arrival.request_line()[1] == "/unwanted":
            self.dispatched.append(conn)
            return
        _, _, body = arrival.hand_over().partition(b"\r\n\r\n")
        arrival.await_body(body)
        self.arrivals.finish(conn)
        self.arrivals.resume(conn)

    def close(self, conn: PatientConnection) -> None:
        self.arrivals.forget(conn)
        self.closed.append(conn)
        conn.close()

    def connect(
        self, sent: bytes = b"", address: str = "192.0.2.1"
    ) -> tuple[socket.socket, PatientConnection]:
        """Return a client's end of a new connection, and ours."""
        ours, theirs = socket.socketpair()
        self.ends.callback(theirs.close)
        accepted = QuietSocket(ours, address, NO_SLOW_READERS), (address, 4711)
        conn = PatientConnection(Config(), accepted, "", ServerSettings())
        self.ends.callback(conn.close)
        theirs.settimeout(10)
        self.arrivals.accept(conn)
        theirs.sendall(sent)
        self.read()
        return theirs, conn

    def read(self) -> None:
        """Read whatever has come."""
        while events := self.poller.select(0):
            for key, _ in events:
                key.data(key.fileobj)

    def after(self, seconds: float) -> None:
        """Let time pass, and end what has waited too long."""
        self.clock.now += seconds
        self.arrivals.expire()
        self.goodbyes.expire()


@pytest.fixture
def make_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Worker]]:
    clock = Seconds()
    for module in ("arrivals", "goodbyes"):
        monkeypatch.setattr(f"datastorage.platform.server.{module}.monotonic_seconds", clock)
    with ExitStack() as ends, DefaultSelector() as poller:
        yield lambda **parts: Worker(ends, poller, clock, **parts)


@pytest.fixture
def worker(make_worker: Callable[..., Worker]) -> Worker:
    return make_worker()


def test_request_gets_a_thread_when_it_is_there(worker: Worker) -> None:
    client, conn = worker.connect(GET[:-1])
    assert worker.dispatched == []

    client.sendall(GET[-1:])
    worker.read()

    assert worker.dispatched == [conn]
    assert not worker.poller.get_map()


def test_silent_connection_is_closed_when_its_time_is_up(worker: Worker) -> None:
    silent, conn = worker.connect()

    worker.after(14)
    assert worker.closed == []
    worker.after(1)

    assert (worker.closed, worker.reasons) == ([conn], ["silent"])
    assert silent.recv(1) == b""


def test_request_that_arrived_at_the_last_moment_is_served(worker: Worker) -> None:
    late, conn = worker.connect()
    late.sendall(GET)

    worker.after(16)

    assert (worker.dispatched, worker.closed) == ([conn], [])


def test_head_that_drips_ends_without_a_reset(worker: Worker) -> None:
    client, conn = worker.connect(GET[:5])

    for _ in range(10):
        client.sendall(b"x")
        worker.read()
        worker.after(1)
    client.sendall(b"x")
    worker.read()

    assert (worker.reasons, worker.closed) == (["head_timeout"], [])
    assert client.recv(1) == b""
    worker.after(2)
    assert worker.closed == [conn]


def test_body_that_does_not_come_is_answered(worker: Worker) -> None:
    _, conn = worker.connect(posting(9))

    worker.after(30)

    assert worker.dispatched == [conn]
    assert conn.arrival.refusal == "late"


def test_body_waits_for_room_and_is_then_refused(worker: Worker) -> None:
    _, first = worker.connect(posting(LARGE) + b"x" * LARGE)
    _, second = worker.connect(posting(LARGE))

    worker.after(1)

    assert worker.dispatched == [first, second]
    assert second.arrival.refusal == "no_room"


def test_body_goes_on_when_there_is_room_again(worker: Worker) -> None:
    _, first = worker.connect(posting(LARGE) + b"x" * LARGE)
    _, second = worker.connect(posting(LARGE) + b"x" * LARGE)
    assert worker.dispatched == [first]

    worker.arrivals.finish(first)
    worker.read()

    assert worker.dispatched == [first, second]
    assert second.arrival.refusal is None


def test_small_body_has_room_beside_large_ones(worker: Worker) -> None:
    worker.connect(posting(LARGE) + b"x" * LARGE)
    _, small = worker.connect(posting(2) + b"{}")

    assert worker.dispatched[-1] is small


def test_slow_body_gives_way_to_one_that_needs_its_room(worker: Worker) -> None:
    _, slow = worker.connect(posting(LARGE) + b"x")
    worker.clock.now += 2

    _, quick = worker.connect(posting(LARGE) + b"x" * LARGE)

    assert worker.dispatched == [slow]
    assert slow.arrival.refusal == "late"
    worker.arrivals.finish(slow)
    worker.read()
    assert worker.dispatched == [slow, quick]


def test_few_chunked_bodies_have_a_thread_at_once(worker: Worker) -> None:
    conns = [worker.connect(CHUNKED)[1] for _ in range(CHUNKED_THREADS + 1)]
    assert worker.dispatched == conns[:-1]

    worker.arrivals.finish(conns[0])

    assert worker.dispatched == conns


def test_client_is_told_to_send_the_body_that_it_holds_back(worker: Worker) -> None:
    client, _ = worker.connect(posting(2)[:-2] + b"Expect: 100-continue\r\n\r\n")

    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        posting(LARGE, b"/unwanted"),
        posting(2, b"/unwanted").replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"),
        b"POST /unwanted HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_body_that_will_be_refused_is_not_waited_for(worker: Worker, head: bytes) -> None:
    client, conn = worker.connect(head)

    assert worker.dispatched == [conn]
    assert (conn.arrival.reserved_bytes, conn.arrival.holds_turn) == (0, False)
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1)  # no 100 Continue


def test_small_body_that_will_be_refused_is_awaited(worker: Worker) -> None:
    """On its connection another request can follow."""
    client, conn = worker.connect(posting(2, b"/unwanted"))
    assert worker.dispatched == []

    client.sendall(b"{}")
    worker.read()

    assert worker.dispatched == [conn]


def test_what_comes_after_a_goodbye_is_dropped_for_a_while(worker: Worker) -> None:
    client, conn = worker.connect(posting(3 * LARGE, b"/unwanted"))

    worker.goodbyes.say(conn)
    client.sendall(b"x" * 1000)
    worker.read()

    assert client.recv(1) == b""
    assert worker.closed == []
    worker.after(2)
    assert worker.closed == [conn]
    assert not worker.poller.get_map()


def test_client_that_hangs_up_ends_a_goodbye(worker: Worker) -> None:
    client, conn = worker.connect(posting(LARGE, b"/unwanted"))
    worker.goodbyes.say(conn)

    client.close()
    worker.read()

    assert worker.closed == [conn]


def test_no_more_is_read_after_a_goodbye_than_a_body_may_have(worker: Worker) -> None:
    client, conn = worker.connect(posting(9 * LARGE, b"/unwanted"))
    worker.goodbyes.say(conn)

    client.setblocking(False)
    for _ in range(64):
        with suppress(BlockingIOError):
            client.send(b"x" * SMALL_BODY_BYTES)
        worker.read()

    assert not worker.poller.get_map()
    assert worker.closed == []


def test_goodbyes_are_few(worker: Worker) -> None:
    conns = [worker.connect(posting(LARGE, b"/unwanted"))[1] for _ in range(GOODBYES + 1)]

    for conn in conns:
        worker.goodbyes.say(conn)

    assert worker.closed == [conns[-1]]


def test_the_longest_waiting_connection_makes_room_for_a_new_one(make_worker: Callable[..., Worker]) -> None:
    worker = make_worker(limits=Limits(15, 10, 30, 2, 100, lambda _: False))
    _, first = worker.connect()
    worker.clock.now += 1
    worker.connect(GET[:3])
    worker.clock.now += 1

    worker.connect()

    assert (worker.closed, worker.reasons) == ([first], ["worker_limit"])


def test_address_that_speaks_for_many_is_not_limited(make_worker: Callable[..., Worker]) -> None:
    worker = make_worker(limits=Limits(15, 10, 30, 100, 1, lambda address: address == "192.0.2.9"))
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.9", "192.0.2.9"):
        worker.connect(address=address)

    assert worker.reasons == ["address_limit"]


def test_connections_without_a_head_end_with_the_worker(worker: Worker) -> None:
    _, silent = worker.connect()
    _, half = worker.connect(GET[:3])
    worker.connect(posting(9))

    worker.arrivals.close_without_head()

    assert worker.closed == [silent, half]
