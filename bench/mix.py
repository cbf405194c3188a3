"""A mix of requests at a fixed rate, as of a platform at work: single events, batches and queries."""

import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import urllib3

from bench.load import REQUEST_SECONDS, Load
from datastorage.platform.clock import monotonic_seconds
from tests.support.builders import BATCH, EVENTS, an_event

MIX = 20
"""Of so many requests one is a batch, three are queries, the rest are single events."""


@dataclass(frozen=True, slots=True)
class MixTarget:
    """The service.

    A latency counts from the instant the request was due, so that a stall counts for all who waited. Every
    answer but 200 and 201 has failed, and so has a request without one.

    Attributes:
        rate: requests per second; without it as many as are answered.
        begin: number of the first request. One drive takes no more numbers than it has answers, failures and
            clients; the next one begins after them.
    """

    url: str
    rate: float | None
    begin: int

    def drive(self, clients: int, seconds: float) -> Load:
        """Send the mix from as many threads as there are clients."""
        numbers = itertools.count()
        start = monotonic_seconds()
        failed = itertools.count()
        ready = threading.Barrier(clients)
        used_seconds = time.process_time()

        def client() -> list[float]:
            latencies_ms: list[float] = []
            with urllib3.connection_from_url(
                self.url, maxsize=1, retries=False, timeout=REQUEST_SECONDS
            ) as pool:
                ready.wait()
                for number in numbers:
                    due = monotonic_seconds() if self.rate is None else start + number / self.rate
                    if due >= start + seconds:
                        break
                    time.sleep(max(0.0, due - monotonic_seconds()))
                    if _ask(pool, self.begin + number):
                        latencies_ms.append((monotonic_seconds() - due) * 1000)
                    else:
                        next(failed)
            return latencies_ms

        with ThreadPoolExecutor(clients) as threads:
            done = [each.result() for each in [threads.submit(client) for _ in range(clients)]]
        latencies_ms = [latency for each in done for latency in each]
        return Load(
            latencies_ms,
            next(failed),
            monotonic_seconds() - start,
            generator_seconds=time.process_time() - used_seconds,
        )


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
