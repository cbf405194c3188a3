"""Reads, slow readers and exports never stop writes or probes."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Engine, text

from tests.support.builders import EVENTS, an_event, unique
from tests.support.exposition import Scrape
from tests.support.http import JSON, Answer, Api, assert_problem
from tests.support.raw_exchange import opened
from tests.support.service import ServiceProcess
from tests.support.started import StartService
from tests.support.waiting import eventually

INCIDENTS = "/api/v1/incidents"
READS = 64
ROWS = 1000
ROW_TEXT = "x" * 4000
"""A page of such rows is more than the buffers between service and client hold."""


@pytest.fixture(scope="module")
def service(start_service: StartService) -> ServiceProcess:
    return start_service(SERVER_WORKERS="1")


@contextmanager
def locked_incidents(owner: Engine) -> Iterator[None]:
    """Let every statement on incidents wait until the block ends."""
    with (
        owner.connect().execution_options(isolation_level="READ COMMITTED") as connection,
        connection.begin(),
    ):
        connection.execute(text("LOCK TABLE resource_action_traces IN ACCESS EXCLUSIVE MODE"))
        yield


def serves(service: ServiceProcess) -> float:
    """Write and probe; return how long the slowest took."""
    slowest = 0.0
    for api, method, path, status in (
        (service.api, "POST", EVENTS, 201),
        (service.api, "GET", "/health/live", 200),
        (service.metrics_api, "GET", "/health/live", 200),
    ):
        body = json.dumps(an_event()).encode() if method == "POST" else None
        begun = time.monotonic()
        assert api.request(method, path, body=body, headers=JSON).status == status
        slowest = max(slowest, time.monotonic() - begun)
    return slowest


def waiting(service: ServiceProcess, request_class: str) -> float:
    return Scrape(service.metrics_api).value("requests_waiting", **{"class": request_class})


def test_reads_that_wait_for_a_lock_leave_threads_to_writes(
    start_service: StartService, owner_engine: Engine
) -> None:
    service = start_service(SERVER_WORKERS="1", DATABASE_POOL_TIMEOUT="2s")

    def read(number: int) -> Answer:
        return service.api.another().get(INCIDENTS, {"namespace": f"lock-{number}"})

    with ThreadPoolExecutor(READS) as clients, locked_incidents(owner_engine):
        reading = [clients.submit(read, number) for number in range(READS)]
        eventually(lambda: waiting(service, "read") >= READS / 2)
        took = [serves(service) for _ in range(20)]
        answers = [each.result() for each in reading]

    assert max(took) < 1
    assert {answer.status for answer in answers} <= {503, 504}
    refused = [answer for answer in answers if answer.json["detail"] == "no request thread in time"]
    assert refused
    for answer in refused:
        assert_problem(answer, 503, "overloaded")
        assert answer.headers["Retry-After"] == "1"
    counted = Scrape(service.metrics_api).value("overload_refusals_total", reason="thread_wait")
    assert counted == len(refused)
    eventually(lambda: '"msg":"Overload refusal"' in service.log)
    assert service.api.get(INCIDENTS).status == 200


@pytest.fixture(scope="module")
def large_page(service: ServiceProcess) -> str:
    """The correlation id of a page that no buffer holds."""
    ours = unique()
    batch = [an_event(correlation_id=ours, event_data={"text": ROW_TEXT}) for _ in range(ROWS)]
    assert service.api.post(f"{EVENTS}/batch", batch).status == 201
    return ours


@contextmanager
def slow_readers(api: Api, target: str, number: int) -> Iterator[list[socket.socket]]:
    """Ask for ``target`` on so many connections, and read nothing."""
    parts = urlsplit(api.url)
    shown = "".join(f"{name}: {value}\r\n" for name, value in api.shown.items())
    with ExitStack() as stack:
        connections = []
        for _ in range(number):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(30)
            connection.connect((parts.hostname, parts.port))
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{shown}\r\n".encode())
            connections.append(connection)
        yield connections


def test_slow_readers_and_exports_never_stop_writes(service: ServiceProcess, large_page: str) -> None:
    page = f"{EVENTS}?correlation_id={large_page}&limit={ROWS}"
    before = Scrape(service.metrics_api)

    def value(name: str, **labels: str) -> float:
        return Scrape(service.metrics_api).value(name, **labels) - before.value(name, **labels)

    with (
        slow_readers(service.api, page, 64),
        slow_readers(service.api, f"{page}&format=ndjson", 64) as exports,
    ):
        eventually(lambda: value("slow_readers") >= 8)
        took = [serves(service) for _ in range(20)]
        active = value("exports_active", kind="audit")
        eventually(lambda: waiting(service, "read") == 0, timeout_seconds=60)
        statuses = [connection.recv(12) for connection in exports]

    assert max(took) < 1
    assert active <= 2
    assert set(statuses) <= {b"HTTP/1.1 429", b"HTTP/1.1 200"}
    assert statuses.count(b"HTTP/1.1 429") >= 40
    assert value("connections_closed_total", reason="slow_reader") >= 16
    assert value("overload_refusals_total", reason="exports") >= 40
    eventually(lambda: value("exports_active", kind="audit") == 0)
    assert any(
        line["msg"] == "Connection closed by limit" and line["reason"] == "slow_reader"
        for line in service.log_lines
    )


def test_export_beyond_the_limit_is_refused(service: ServiceProcess, large_page: str) -> None:
    target = f"{EVENTS}?correlation_id={large_page}&limit={ROWS}&format=ndjson"

    with slow_readers(service.api, target, 2):
        eventually(lambda: Scrape(service.metrics_api).value("exports_active", kind="audit") == 2)
        refused = service.api.get(target)
        incidents = service.api.get(f"{INCIDENTS}/export")

    assert_problem(refused, 429, "too-many-exports")
    assert refused.headers["Retry-After"] == "5"
    assert incidents.status == 200
    eventually(lambda: service.api.get(target).status == 200, timeout_seconds=60)


def test_slow_readers_are_left_alone_while_there_are_threads(
    service: ServiceProcess, large_page: str
) -> None:
    page = f"{EVENTS}?correlation_id={large_page}&limit={ROWS}"
    before = Scrape(service.metrics_api).value("connections_closed_total", reason="slow_reader")

    with slow_readers(service.api, page, 10) as connections:
        eventually(lambda: Scrape(service.metrics_api).value("slow_readers") == 10)
        for _ in range(10):
            assert service.api.get(f"{EVENTS}?limit=1").status == 200
        received = [connection.makefile("rb").readline() for connection in connections]

    assert set(received) == {b"HTTP/1.1 200 OK\r\n"}
    after = Scrape(service.metrics_api).value("connections_closed_total", reason="slow_reader")
    assert after == before


def test_metrics_port_has_places_of_its_own(service: ServiceProcess) -> None:
    """A hundred silent connections: the oldest make room, and whoever measures is served."""

    def value(name: str, **labels: str) -> float:
        # By a new connection: a kept one may be closed as the oldest.
        return Scrape(Api(service.metrics_api.url)).value(name, **labels)

    before = value("connections_closed_total", reason="address_limit")
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(opened(service.metrics_api))
        eventually(lambda: value("connections_closed_total", reason="address_limit") >= before + 36)
        took = serves(service)
        open_now = value("connections_open", lane="metrics")

    assert took < 1
    assert open_now <= 64
