"""Connections whose time is up are closed, unless a request has arrived on them."""

import socket
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from selectors import EVENT_READ, BaseSelector, DefaultSelector

import pytest
from gunicorn.config import Config

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.server.idle_connections import hang_up
from datastorage.platform.server.slow_clients import PatientConnection


@dataclass
class Clients:
    """Clients of a worker, each on a connection that the worker watches."""

    ends: ExitStack
    poller: BaseSelector
    waiting: deque[PatientConnection] = field(default_factory=deque)
    served: list[PatientConnection] = field(default_factory=list)

    def connect(self, *, seconds_left: float) -> socket.socket:
        """Return a client's end of a new connection."""
        ours, theirs = socket.socketpair()
        self.ends.callback(theirs.close)
        conn = PatientConnection(Config(), (ours, ""), "", timedelta(seconds=2))
        self.ends.callback(conn.close)
        conn.timeout = monotonic_seconds() + seconds_left
        self.poller.register(conn.sock, EVENT_READ)
        self.waiting.append(conn)
        theirs.settimeout(10)
        return theirs

    def hang_up(self) -> int:
        return hang_up(self.waiting, self.poller, self.served.append)


@pytest.fixture
def clients() -> Iterator[Clients]:
    with ExitStack() as ends, DefaultSelector() as poller:
        yield Clients(ends, poller)


def test_silent_connection_is_closed_when_its_time_is_up(clients: Clients) -> None:
    silent = clients.connect(seconds_left=-1)

    assert clients.hang_up() == 1

    assert silent.recv(1) == b""
    assert not clients.waiting
    assert not clients.poller.get_map()


def test_request_that_arrived_at_the_last_moment_is_served(clients: Clients) -> None:
    clients.connect(seconds_left=-3)
    late = clients.connect(seconds_left=-2)
    clients.connect(seconds_left=-1)
    late.sendall(b"GET / HTTP/1.1\r\n")
    conn = clients.waiting[1]

    assert clients.hang_up() == 2

    assert clients.served == [conn]
    assert conn.sock.recv(65536) == b"GET / HTTP/1.1\r\n"
    assert not clients.waiting
    assert not clients.poller.get_map()


def test_connection_with_time_left_is_left_to_the_poller(clients: Clients) -> None:
    clients.connect(seconds_left=-1)
    patient = clients.connect(seconds_left=60)
    patient.sendall(b"GET / HTTP/1.1\r\n")

    assert clients.hang_up() == 1

    assert not clients.served
    assert len(clients.waiting) == len(clients.poller.get_map()) == 1
