"""Workers share the connections of clients that keep them, and nobody waits for a worker that is stuck."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from datastorage.settings import ServerSettings
from tests.support.builders import EVENTS
from tests.support.processes import descendants
from tests.support.raw_exchange import opened
from tests.support.service import ServiceProcess
from tests.support.started import StartService
from tests.support.timeline import kill
from tests.support.waiting import eventually

ALIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
FROM_DATABASE = f"GET {EVENTS}?limit=1 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
SLACK = 4
"""Connections that a worker may have beyond its half: the other one may be kept from the processor."""


@pytest.fixture
def own(start_service: StartService) -> Iterator[ServiceProcess]:
    """Two workers that both answer, and that nobody else is connected to."""
    started = start_service()
    started.api.close()
    eventually(lambda: both_answer(started))
    eventually(lambda: sum(held_by_workers(started)) == 0)
    yield started
    started.stop()


def both_answer(service: ServiceProcess) -> bool:
    """Tell whether each worker holds an answered connection: the service is ready as soon as one of them is.

    Who answers from the database has every thread: its loops run, and so does the watchdog, which the first
    conversation starts.
    """
    with ExitStack() as clients:
        keep(clients, service, 8, FROM_DATABASE)
        held = held_by_workers(service)
        return len(held) == 2 and all(held)


def held_by_workers(service: ServiceProcess) -> list[int]:
    """Return how many clients each worker has."""
    return [held_by(worker, service.port) for worker in descendants(service.pid)]


def held_by(worker: int, port: int) -> int:
    connections = psutil.Process(worker).net_connections("tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED and each.laddr[1] == port for each in connections)


def threads_of_workers(service: ServiceProcess) -> list[int]:
    return [psutil.Process(worker).num_threads() for worker in descendants(service.pid)]


def keep(clients: ExitStack, service: ServiceProcess, count: int, request: bytes = ALIVE) -> None:
    """Open so many connections, with an answer on each, until ``clients`` ends."""
    for _ in range(count):
        connection = clients.enter_context(opened(service.api))
        connection.sendall(request)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


@contextmanager
def stopped(worker: int) -> Iterator[None]:
    os.kill(worker, signal.SIGSTOP)
    try:
        eventually(lambda: psutil.Process(worker).status() == psutil.STATUS_STOPPED)
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


def test_each_of_two_workers_has_its_half(own: ServiceProcess) -> None:
    with ExitStack() as clients:
        keep(clients, own, 64)

        held = held_by_workers(own)

    assert sum(held) == 64
    assert max(held) <= 32 + SLACK


def test_replacement_of_a_killed_worker_takes_what_it_lacks(own: ServiceProcess) -> None:
    survivor, victim = descendants(own.pid)
    with ExitStack() as clients:
        keep(clients, own, 20)
        kill(victim)
        eventually(lambda: len(set(descendants(own.pid)) - {victim}) == 2)
        [replacement] = set(descendants(own.pid)) - {victim, survivor}
        eventually(lambda: takes_the_next(own, replacement))
        left = held_by(survivor, own.port)

        keep(clients, own, left)

        assert held_by(survivor, own.port) <= left + SLACK


def takes_the_next(service: ServiceProcess, worker: int) -> bool:
    with ExitStack() as clients:
        keep(clients, service, 1)
        return held_by(worker, service.port) == 1


def test_worker_that_is_stuck_keeps_nobody_waiting(own: ServiceProcess) -> None:
    stuck, other = descendants(own.pid)
    with ExitStack() as clients, stopped(stuck):
        before = held_by(other, own.port)

        keep(clients, own, 20)

        assert held_by(other, own.port) == before + 20


def test_crowd_adds_no_thread(own: ServiceProcess) -> None:
    at_start = threads_of_workers(own)

    with ExitStack() as clients:
        keep(clients, own, 100)
        in_the_crowd = threads_of_workers(own)

    assert min(at_start) > ServerSettings().threads
    assert in_the_crowd == at_start
