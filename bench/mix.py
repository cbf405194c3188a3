"""A mix of requests at a fixed rate, as of a platform at work: single events, batches and queries."""

import itertools
import json
import multiprocessing
import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass

import urllib3

from datastorage.platform.clock import monotonic_seconds
from tests.support.builders import BATCH, EVENTS, an_event

CLIENTS = 32
MIX = 20
"""Of so many requests one is a batch, three are queries, the rest are single events."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it.

    Attributes:
        latencies_ms: of every 2xx, from the instant the request was due, so that a stall counts for all who
            waited.
        failed: every other answer, and requests without one.
        generator_seconds: processor time of the generator itself.
    """

    latencies_ms: Sequence[float]
    failed: int
    generator_seconds: float

    def percentile(self, percent: int) -> float:
        """Return a percentile of the latencies in milliseconds."""
        return statistics.quantiles(self.latencies_ms, n=100, method="inclusive")[percent - 1]


class Generator:
    """Sends the mix from a process of its own; a request has a number that no other one has."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._process = ProcessPoolExecutor(max_workers=1, mp_context=context)
        self._begin = 0

    def send(self, url: str, seconds: float, rate: float | None) -> Sent:
        """Send so many requests per second, or without a rate as many as are answered."""
        sent = self._process.submit(drive, url, seconds, self._begin, rate).result()
        self._begin += len(sent.latencies_ms) + sent.failed + CLIENTS
        return sent

    def close(self) -> None:
        """End the process."""
        self._process.shutdown()


def drive(url: str, seconds: float, begin: int, rate: float | None) -> Sent:
    """Send the mix from as many threads as there are clients, numbered from ``begin``."""
    numbers = itertools.count()
    start = monotonic_seconds()
    failed = itertools.count()
    ready = threading.Barrier(CLIENTS)
    used_seconds = time.process_time()

    def client() -> list[float]:
        latencies_ms: list[float] = []
        with urllib3.connection_from_url(url, maxsize=1, retries=False, timeout=60) as pool:
            ready.wait()
            for number in numbers:
                due = monotonic_seconds() if rate is None else start + number / rate
                if due >= start + seconds:
                    break
                time.sleep(max(0.0, due - monotonic_seconds()))
                if _ask(pool, begin + number):
                    latencies_ms.append((monotonic_seconds() - due) * 1000)
                else:
                    next(failed)
        return latencies_ms

    with ThreadPoolExecutor(CLIENTS) as threads:
        done = [each.result() for each in [threads.submit(client) for _ in range(CLIENTS)]]
    latencies_ms = [latency for each in done for latency in each]
    return Sent(latencies_ms, next(failed), time.process_time() - used_seconds)


def _ask(pool: urllib3.HTTPConnectionPool, number: int) -> bool:
    turn = number % MIX
    # Twenty requests share a story: a query finds about as many rows in the last minute as in the first.
    story = f"rr-soak-{number // MIX}"
    headers = {"Content-Type": "application/json"}
    try:
        if turn == 0:
            events = [an_event(correlation_id=story) for _ in range(100)]
            answer = pool.request("POST", BATCH, body=json.dumps(events), headers=headers)
        elif turn % 6 == 0:
            answer = pool.request("GET", f"{EVENTS}?correlation_id=rr-soak-{max(0, number // MIX - 50)}")
        else:
            event = json.dumps(an_event(correlation_id=story))
            answer = pool.request("POST", EVENTS, body=event, headers=headers)
    except urllib3.exceptions.HTTPError:
        return False
    return bool(answer.data) and answer.status in {200, 201}
