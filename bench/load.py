"""The load generator: closed loops of threads, each with a connection that it keeps.

It runs in a process of its own, so that neither the progress bar nor another scenario shares its interpreter.
HTTP and SQL go through the same loop: what the loop costs is in both sides of every ratio.
"""

import itertools
import multiprocessing
import statistics
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import psycopg
import urllib3

from datastorage.platform.clock import monotonic_seconds

START_SECONDS = 60
REQUEST_SECONDS = 60
OK = 200
REDIRECT = 300

Call = Callable[[Any], bool]
"""Does one piece of work and tells whether it succeeded."""


class Target(Protocol):
    """What is driven by threads: pieces of work, and a connection that does one at a time."""

    @property
    def work(self) -> Sequence[Any]:
        """The pieces, taken in turn."""

    @property
    def repeats(self) -> bool:
        """Whether to start again after the last piece, until the time is over."""

    def connected(self) -> AbstractContextManager[Call]:
        """Open a connection for one client."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    path: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """The service."""

    url: str
    work: Sequence[Request]
    repeats: bool = True

    @contextmanager
    def connected(self) -> Iterator[Call]:
        """Keep one connection; an answer counts when it was read to its end."""
        headers = {"Content-Type": "application/json"}
        with urllib3.connection_from_url(self.url, maxsize=1, retries=False, timeout=REQUEST_SECONDS) as pool:

            def call(request: Request) -> bool:
                answer = pool.request(request.method, request.path, body=request.body, headers=headers)
                return bool(answer.data) and OK <= answer.status < REDIRECT

            yield call


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL as psycopg takes it."""

    sql: str
    parameters: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class SqlTarget:
    """PostgreSQL; a piece of work is the statements of one transaction."""

    url: str
    work: Sequence[Sequence[Statement]]
    repeats: bool = True

    @contextmanager
    def connected(self) -> Iterator[Call]:
        """Keep one connection; rows are fetched, not looked at."""
        with psycopg.connect(self.url) as connection:

            def call(statements: Sequence[Statement]) -> bool:
                with connection.transaction():
                    for statement in statements:
                        connection.execute(statement.sql.encode(), statement.parameters).fetchall()
                return True

            yield call


@dataclass(frozen=True, slots=True)
class CopyTarget:
    """PostgreSQL; a piece of work is a COPY statement, read to its end."""

    url: str
    work: Sequence[str]
    repeats: bool = True

    @contextmanager
    def connected(self) -> Iterator[Call]:
        """Keep one connection."""
        with psycopg.connect(self.url, autocommit=True) as connection:

            def call(sql: str) -> bool:
                with connection.cursor().copy(sql.encode()) as copy:
                    return sum(map(len, copy)) > 0

            yield call


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it: the latency of each success in milliseconds, and how long it took in all.

    ``service_seconds``, ``database_seconds`` and ``generator_seconds`` are processor time, where it was
    looked at.
    """

    latencies_ms: list[float]
    failed: int
    elapsed_seconds: float
    service_seconds: float | None = None
    database_seconds: float | None = None
    generator_seconds: float | None = None

    def percentile(self, percent: int) -> float:
        """Return a percentile of the latencies in milliseconds."""
        return statistics.quantiles(self.latencies_ms, n=100, method="inclusive")[percent - 1]

    @property
    def per_second(self) -> float:
        """Successes per second."""
        return len(self.latencies_ms) / self.elapsed_seconds


@dataclass(slots=True)
class _Client:
    latencies_ms: list[float] = field(default_factory=list)
    failed: int = 0


@runtime_checkable
class SelfDriven(Protocol):
    """What knows a better way to be driven than threads."""

    def drive(self, clients: int, seconds: float) -> Load:
        """Send work from so many clients at once, for so long."""


class Generator:
    """A process that drives a target whenever it is asked to."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._process = ProcessPoolExecutor(max_workers=1, mp_context=context)

    def drive(self, target: Target | SelfDriven, *, clients: int, seconds: float) -> Load:
        """Send work from so many clients at once, for so long or until there is none left."""
        return self._process.submit(_drive, target, clients, seconds).result()

    def close(self) -> None:
        """End the process."""
        self._process.shutdown()


def _drive(target: Target | SelfDriven, clients: int, seconds: float) -> Load:
    if isinstance(target, SelfDriven):
        return target.drive(clients, seconds)
    return _drive_threads(target, clients, seconds)


def _drive_threads(target: Target, clients: int, seconds: float) -> Load:
    # next() of both is one step under the interpreter's lock: every piece goes to one client.
    pieces = itertools.cycle(target.work) if target.repeats else iter(target.work)
    started: list[float] = []
    barrier = threading.Barrier(clients, action=lambda: started.append(monotonic_seconds()))

    def loop() -> _Client:
        client = _Client()
        with target.connected() as call:
            call(next(pieces))  # the first one connects, plans and fills caches
            barrier.wait(START_SECONDS)
            while monotonic_seconds() < started[0] + seconds:
                piece = next(pieces, None)
                if piece is None:
                    break
                _measure(client, call, piece)
        return client

    with ThreadPoolExecutor(clients) as threads:
        done = [each.result() for each in [threads.submit(loop) for _ in range(clients)]]
    elapsed_seconds = monotonic_seconds() - started[0]
    latencies_ms = [each for client in done for each in client.latencies_ms]
    return Load(latencies_ms, sum(client.failed for client in done), elapsed_seconds)


def _measure(client: _Client, call: Call, piece: Any) -> None:
    began = monotonic_seconds()
    if call(piece):
        client.latencies_ms.append((monotonic_seconds() - began) * 1000)
    else:
        client.failed += 1
