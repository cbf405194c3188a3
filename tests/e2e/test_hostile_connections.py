"""Connections without a complete request hold no thread: writes and probes go on beside hundreds of them."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.builders import EVENTS, an_event
from tests.support.exposition import Scrape
from tests.support.guarded import kubernetes
from tests.support.http import JSON, Api, assert_problem
from tests.support.raw_exchange import opened
from tests.support.service import ServiceProcess
from tests.support.started import StartService
from tests.support.waiting import eventually

HALF_HEAD = b"POST /api/v1/audit/events HTTP/1.1\r\nHost: localhost\r\nContent-Le"
HEAD = b"POST /api/v1/audit/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
STALLED_BODY = HEAD + b"Content-Length: 1000\r\n\r\n{"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
MEBIBYTE = 1 << 20
THREADS = 8
"""Few: every one that is held is missed."""


@pytest.fixture(scope="module", params=["none", "kubernetes"])
def small(request: pytest.FixtureRequest, start_service: StartService) -> ServiceProcess:
    """What holds without access control holds with it."""
    guard = kubernetes() if request.param == "kubernetes" else None
    service = start_service(
        SERVER_WORKERS="1",
        SERVER_THREADS=str(THREADS),
        SERVER_MAX_CONNECTIONS_PER_ADDRESS="1000",
        **(guard.settings if guard else {}),
    )
    service.api.shown = guard.headers if guard else {}
    return service


@contextmanager
def held(api: Api, number: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """Keep connections open on which ``sent`` is all that ever comes."""
    with ExitStack() as stack:
        connections = [stack.enter_context(opened(api)) for _ in range(number)]
        for connection in connections:
            connection.sendall(sent)
        yield connections


def test_open_connections_are_shown_by_lane(small: ServiceProcess) -> None:
    with held(small.api, 20, b""), held(small.metrics_api, 5, b""):
        eventually(lambda: Scrape(small.metrics_api).value("connections_open", lane="api") >= 20)
        eventually(lambda: 5 <= Scrape(small.metrics_api).value("connections_open", lane="metrics") < 20)

    eventually(lambda: Scrape(small.metrics_api).value("connections_open", lane="metrics") < 5)


def serves(service: ServiceProcess) -> list[float]:
    """Write and probe, and return how long each took."""
    took = []
    for api, method, path in (
        (service.api, "POST", EVENTS),
        (service.api, "GET", "/health/live"),
        (service.metrics_api, "GET", "/health/live"),
        (service.metrics_api, "GET", "/metrics"),
    ):
        body = json.dumps(an_event()).encode() if method == "POST" else None
        begun = time.monotonic()
        assert api.request(method, path, body=body, headers=JSON).status in {200, 201}
        took.append(time.monotonic() - begun)
    return took


def test_silent_halved_and_stalled_requests_hold_no_thread(small: ServiceProcess) -> None:
    with held(small.api, 100, b""), held(small.api, 100, HALF_HEAD), held(small.api, 100, STALLED_BODY):
        took = [serves(small) for _ in range(10)]

    assert max(max(each) for each in took) < 1


def test_chunked_bodies_that_stall_hold_few_threads(small: ServiceProcess) -> None:
    with held(small.api, 4 * THREADS, CHUNKED):
        took = serves(small)

    assert max(took) < 1


def test_crowd_of_one_address_is_bounded_and_accepting_never_stops(start_service: StartService) -> None:
    service = start_service(
        SERVER_WORKERS="1", SERVER_MAX_CONNECTIONS="100", SERVER_MAX_CONNECTIONS_PER_ADDRESS="40"
    )

    def closed() -> float:
        return Scrape(service.metrics_api).value("connections_closed_total", reason="address_limit")

    with held(service.api, 200, b""):
        eventually(lambda: closed() >= 160)
        took = serves(service)

    assert max(took) < 1
    assert "Connection closed by limit" in service.log


def test_connections_end_at_their_deadlines(start_service: StartService) -> None:
    service = start_service(SERVER_WORKERS="1", SERVER_HEAD_TIMEOUT="1s", SERVER_READ_TIMEOUT="2s")

    with opened(service.api) as half, opened(service.api) as stalled:
        begun = time.monotonic()
        half.sendall(HALF_HEAD)
        stalled.sendall(STALLED_BODY)
        half_said, half_took = half.recv(1000), time.monotonic() - begun
        stalled_said, stalled_took = stalled.recv(1000), time.monotonic() - begun

    assert (half_said, stalled_said[:12]) == (b"", b"HTTP/1.1 408")
    assert 1 <= half_took < 2.5
    assert 2 <= stalled_took < 3.5


def test_bodies_beyond_the_budget_wait_and_are_then_refused(small: ServiceProcess) -> None:
    """Each of 24 batches is answered 201 or 503, and a single event gets through beside them."""
    batch = [an_event(event_data={"text": "x" * (MEBIBYTE // 2)}) for _ in range(12)]

    with ThreadPoolExecutor(24) as clients:
        sending = [clients.submit(small.api.post, f"{EVENTS}/batch", batch) for _ in range(24)]
        single = small.api.request("POST", EVENTS, body=json.dumps(an_event()).encode(), headers=JSON)
        answers = [each.result() for each in sending]

    assert single.status == 201
    assert {answer.status for answer in answers} <= {201, 503}
    assert any(answer.status == 201 for answer in answers)
    for answer in answers:
        if answer.status == 503:
            assert_problem(answer, 503, "overloaded")
            assert answer.headers["Retry-After"] == "1"


def test_crowd_that_probes_once_and_stays_delays_no_other_probe(small: ServiceProcess) -> None:
    probe = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"

    with held(small.api, 300, probe):
        took = serves(small)

    assert max(took) < 1
