"""Rolling updates as Kubernetes does them, under clients that never pause and retry nothing."""

import http.client
import json
import signal
import ssl
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

from sqlalchemy import Connection, select

from datastorage.tables import audit_events
from tests.support.balancer import Balancer
from tests.support.builders import EVENTS, an_event, unique
from tests.support.feed import FEED, FeedStream
from tests.support.http import Api
from tests.support.service import ServiceProcess
from tests.support.waiting import eventually

TIMEOUT_SECONDS = 30
READS_EVERY = 5
"""Every fifth request is a read."""

MOST_SHOWN = 600
EXPECTED = {"Access control is off", "Ledger is not signed"}
"""Warnings of every start."""

Start = Callable[[], ServiceProcess]


@dataclass
class Ledger:
    """What the clients sent and what they were told."""

    acknowledged: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    _lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def count(self) -> int:
        """How many requests have ended, well or not."""
        return sum(self.statuses.values()) + len(self.failures)

    def answered(self, status: int, event_id: str | None, seconds: float) -> None:
        """Note an answer, and the event it acknowledges."""
        with self._lock:
            self.statuses[status] += 1
            self.slowest_seconds = max(self.slowest_seconds, seconds)
            if event_id is not None:
                self.acknowledged.append(event_id)

    def missing_from(self, owner: Connection) -> set[str]:
        """Return the acknowledged events that are not in the table."""
        stored = {str(found) for found in owner.scalars(select(audit_events.c.event_id))}
        return set(self.acknowledged) - stored

    def failed(self, what: str) -> None:
        """Note a request that got no answer."""
        with self._lock:
            self.failures.append(what)


class Client:
    """One thread that writes and reads through the balancer until told to stop.

    Args:
        port: of the balancer.
        ledger: shared by all clients.
        keeps: whether it keeps its connection for as long as the service does.
        tls: whom to trust, where the service speaks TLS.
    """

    def __init__(self, port: int, ledger: Ledger, *, keeps: bool, tls: ssl.SSLContext | None = None) -> None:
        self._ledger = ledger
        self._keeps = keeps
        self._correlation_id = unique()
        self._connection = (
            http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
            if tls is None
            else http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS, context=tls)
        )
        self._stopping = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the request at hand."""
        self._stopping.set()
        self._thread.join(TIMEOUT_SECONDS)

    def _run(self) -> None:
        turn = 0
        while not self._stopping.is_set():
            turn += 1
            begun = time.monotonic()
            try:
                status, event_id = self._read() if turn % READS_EVERY == 0 else self._write()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                self._ledger.failed(f"{type(error).__name__}: {error}")
            else:
                self._ledger.answered(status, event_id, time.monotonic() - begun)
            if not self._keeps:
                self._connection.close()
        self._connection.close()

    def _write(self) -> tuple[int, str | None]:
        body = json.dumps(an_event(correlation_id=self._correlation_id))
        headers = {"Content-Type": "application/json"} | self._connection_header
        self._connection.request("POST", EVENTS, body, headers)
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        return response.status, answer.get("event_id")

    def _read(self) -> tuple[int, str | None]:
        target = f"{EVENTS}?correlation_id={self._correlation_id}&limit=1"
        self._connection.request("GET", target, headers=self._connection_header)
        response = self._connection.getresponse()
        response.read()
        return response.status, None

    @property
    def _connection_header(self) -> dict[str, str]:
        return {} if self._keeps else {"Connection": "close"}


@contextmanager
def clients(port: int, ledger: Ledger, *, count: int, tls: ssl.SSLContext | None = None) -> Iterator[None]:
    """Let ``count`` clients run, every other one of which keeps its connection."""
    running = [Client(port, ledger, keeps=number % 2 == 0, tls=tls) for number in range(count)]
    try:
        for each in running:
            each.start()
        yield
    finally:
        for each in running:
            each.stop()


class Reader:
    """One thread that follows the feed through the balancer, and resumes wherever it is led.

    Args:
        port: of the balancer.

    Attributes:
        leaves: the indices it has seen, in the order they came.
        event_ids: of the events among them.
    """

    def __init__(self, port: int) -> None:
        self._api = Api(f"http://127.0.0.1:{port}")
        self.leaves: list[int] = []
        self.event_ids: set[str] = set()
        self._start = self._api.get(FEED, {"from": "now"}).json["next"]
        self._stopping = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_without_gap(self) -> bool:
        """Whether every leaf came, once and in its place."""
        return self.leaves == list(range(self._start, self._start + len(self.leaves)))

    def has_all(self, event_ids: Collection[str]) -> bool:
        """Tell whether it has seen these events."""
        return self.event_ids.issuperset(event_ids)

    def stop(self) -> None:
        """Stop at the end of the stream at hand."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            place = [self.leaves[-1]] if self.leaves else []
            try:
                stream = FeedStream(self._api, *place, from_=self._start)
                for block in stream.items():
                    self.leaves.append(int(block.id or 0))
                    self.event_ids.add(json.loads(str(block.data)).get("event_id", ""))
                stream.close()
            except (OSError, http.client.HTTPException):
                continue  # it was cut off: what came before counts


@dataclass
class Rollout:
    """Two pods behind a balancer; each update replaces one after the other, the new one first."""

    start: Start
    balancer: Balancer
    pods: list[ServiceProcess] = field(default_factory=list)
    started: list[ServiceProcess] = field(default_factory=list)
    exit_codes: list[int] = field(default_factory=list)

    def scale_to(self, count: int) -> None:
        """Add pods until there are that many that get traffic."""
        while len(self.pods) < count:
            self.pods.append(self._one_more())

    @property
    def complaints(self) -> list[str]:
        """What the pods have warned of."""
        lines = [line for pod in self.started for line in pod.log_lines if line["level"] in {"warn", "error"}]
        return [json.dumps(line)[:MOST_SHOWN] for line in lines if line["msg"] not in EXPECTED]

    def update(self) -> None:
        """Replace every pod: ``maxSurge: 1``, ``maxUnavailable: 0``."""
        for old in list(self.pods):
            self.pods.append(self._one_more())
            self.pods.remove(old)
            old.signal(signal.SIGTERM)
            self.exit_codes.append(old.wait())
            self.balancer.remove(old.port)

    def end(self) -> None:
        """Stop every pod, when nobody asks any more."""
        for pod in self.pods:
            pod.signal(signal.SIGTERM)
        self.exit_codes += [pod.wait() for pod in self.pods]

    def _one_more(self) -> ServiceProcess:
        pod = self.start()
        self.started.append(pod)
        self.balancer.add(pod.port)
        eventually(lambda: self.balancer.is_ready(pod.port))
        return pod


@dataclass(frozen=True)
class Result:
    """What came of a rollout under load."""

    ledger: Ledger
    exit_codes: list[int]
    refused: int
    seconds: float
    complaints: list[str]
    reader: Reader

    def __str__(self) -> str:
        ledger = self.ledger
        return (
            f"{ledger.count} requests in {self.seconds:.1f} s ({ledger.count / self.seconds:.0f}/s), "
            f"{len(ledger.failures)} failed, statuses {dict(ledger.statuses)}, "
            f"slowest {ledger.slowest_seconds:.2f} s, {len(ledger.acknowledged)} events acknowledged, "
            f"exit codes {self.exit_codes}"
        )


def roll(start: Start, *, updates: int, client_count: int, period_seconds: float, requests: int) -> Result:
    """Update two pods ``updates`` times under load, and go on until there were ``requests``."""
    ledger = Ledger()
    with ExitStack() as stack:
        balancer = stack.enter_context(Balancer(period_seconds))
        rollout = Rollout(start, balancer)
        rollout.scale_to(2)
        reader = Reader(balancer.port)
        stack.callback(reader.stop)
        begun = time.monotonic()
        with clients(balancer.port, ledger, count=client_count):
            for _ in range(updates):
                rollout.update()
            eventually(lambda: ledger.count >= requests, timeout_seconds=600)
        seconds = time.monotonic() - begun
        eventually(lambda: reader.has_all(ledger.acknowledged))
        reader.stop()
        rollout.end()
        return Result(ledger, rollout.exit_codes, balancer.refused, seconds, rollout.complaints, reader)
