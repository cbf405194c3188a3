"""What innocent clients notice of those without manners: writes beside stalled clients and slow readers."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from threading import Event, Thread
from typing import Final
from urllib.parse import urlsplit

from bench.audit_writes import CLIENTS, posts
from bench.figures import Figure, Goal
from bench.load import Load
from bench.rounds import Effort, by_turns, driving, latencies
from bench.stand import Stand
from tests.support.hostile import Crowd, Manners
from tests.support.http import Api

STALLED: Final = 100
SLOW: Final = 64
PROBE_SECONDS: Final = 0.25
GOAL: Final = Goal(2.0, of="ratio")

_HEAD: Final = b"POST /api/v1/audit/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
_PAGE: Final = b"GET /api/v1/audit/events?limit=1000 HTTP/1.1\r\nHost: localhost\r\n"
SILENT: Final = Manners()
HALF_HEAD: Final = Manners(opening=_HEAD[:-20])
STALLED_BODY: Final = Manners(opening=_HEAD + b"Content-Length: 10000\r\n\r\n{")
SLOW_READER: Final = Manners(opening=_PAGE + b"\r\n")
SLOW_EXPORT: Final = Manners(opening=_PAGE + b"Accept: application/x-ndjson\r\n\r\n")


def stalled(stand: Stand, effort: Effort) -> list[Figure]:
    """Single events beside silent connections, half heads and stalled bodies, a hundred of each."""
    name = f"single events beside 3 x {STALLED} stalled connections"
    return _beside(stand, effort, name, STALLED, SILENT, HALF_HEAD, STALLED_BODY)


def slow_readers(stand: Stand, effort: Effort) -> list[Figure]:
    """Single events beside pages and exports that are hardly read, 64 of each."""
    name = f"single events beside {SLOW} slow readers and {SLOW} slow exports"
    return _beside(stand, effort, name, SLOW, SLOW_READER, SLOW_EXPORT)


def _beside(stand: Stand, effort: Effort, name: str, number: int, *manners: Manners) -> list[Figure]:
    writing = driving(stand, posts(stand.service_url), CLIENTS)
    port = urlsplit(stand.service_url).port or 0

    def disturbed(seconds: float) -> Load:
        with ExitStack() as stack:
            for each in manners:
                stack.enter_context(Crowd(port, number, each))
            failed = stack.enter_context(_probing(stand))
            load = writing(seconds)
        return replace(load, failed=load.failed + len(failed))

    return latencies(name, by_turns(name, effort, disturbed, writing), {50: None, 99: GOAL})


@contextmanager
def _probing(stand: Stand) -> Iterator[list[int]]:
    """Probe all the time; yield the statuses of probes that failed, to be read at the end."""
    failed: list[int] = []
    stopping, api = Event(), Api(stand.service_url)

    def probe() -> None:
        while not stopping.wait(PROBE_SECONDS):
            status = api.get("/health/live").status
            if status != 200:  # noqa: PLR2004 - OK
                failed.append(status)

    thread = Thread(target=probe, name="probe")
    thread.start()
    try:
        yield failed
    finally:
        stopping.set()
        thread.join()
        api.close()
