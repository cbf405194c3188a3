"""Clients that stall or drip hold a thread for a bounded time, and nobody else notices them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException

import pytest

from tests.support.builders import EVENTS, an_event, unique
from tests.support.http import Answer, Api, assert_problem
from tests.support.raw_exchange import answer_in, dripped, exchange, opened
from tests.support.raw_http import SlowReader
from tests.support.service import ServiceProcess
from tests.support.started import StartService
from tests.support.waiting import eventually

TIMEOUT_SECONDS = 2
HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
HEAD = b"POST /api/v1/audit/events HTTP/1.1\r\n" + HOST + JSON
WITH_LENGTH = HEAD + b"Content-Length: 1000\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ALIVE = b"GET /health/live HTTP/1.1\r\n" + HOST

SENT = {
    "head stalls": [b"GET /health/live HTTP/1.1\r\nHos"],
    "head drips": [ALIVE, *[b"x"] * 100],
    "second head stalls": [ALIVE + b"\r\n", ALIVE],
    "body stalls": [WITH_LENGTH + b"{"],
    "body drips": [WITH_LENGTH, *[b" "] * 100],
    "chunked body stalls": [CHUNKED + b"5\r\n{"],
    "chunked body drips": [CHUNKED, *[b"1\r\n \r\n"] * 100],
}
"""Piece by piece, a quarter of a second between two."""


@dataclass(frozen=True)
class Held:
    """What a slow client got, and after how long the service hung up."""

    received: bytes
    seconds: float


@pytest.fixture(scope="module")
def impatient(start_service: StartService) -> ServiceProcess:
    """A service that waits for two seconds only."""
    timeout = f"{TIMEOUT_SECONDS}s"
    timeouts = {f"SERVER_{name}_TIMEOUT": timeout for name in ("HEAD", "READ", "WRITE")}
    return start_service(**timeouts, SERVER_WORKERS="1")


@pytest.fixture(scope="module")
def held(impatient: ServiceProcess) -> dict[str, Held]:
    """All slow clients at the same time, four of each."""
    with ThreadPoolExecutor(64) as pool:
        running = {name: [pool.submit(hold, impatient.api, SENT[name]) for _ in range(4)] for name in SENT}
        others = [timed(impatient.api) for _ in range(20)]
        ended = {name: [each.result() for each in clients] for name, clients in running.items()}
    assert max(others) < 1
    return {name: max(clients, key=lambda each: each.seconds) for name, clients in ended.items()}


def hold(api: Api, pieces: list[bytes]) -> Held:
    with opened(api) as connection:
        begun = time.monotonic()
        received = dripped(connection, pieces, pause_seconds=0.25)
        return Held(received, time.monotonic() - begun)


def timed(api: Api) -> float:
    begun = time.monotonic()
    assert api.post(EVENTS, an_event()).status == 201
    return time.monotonic() - begun


@pytest.mark.parametrize("name", ["head stalls", "head drips"])
def test_connection_whose_head_does_not_arrive_is_closed(held: dict[str, Held], name: str) -> None:
    assert held[name].received == b""
    assert held[name].seconds == pytest.approx(TIMEOUT_SECONDS, abs=1)


def test_kept_connection_is_closed_when_the_next_head_stalls(held: dict[str, Held]) -> None:
    answer = answer_in(held["second head stalls"].received)

    assert answer.status == 200
    assert answer.json == {"status": "alive"}
    assert held["second head stalls"].seconds == pytest.approx(TIMEOUT_SECONDS, abs=1)


@pytest.mark.parametrize("name", ["body stalls", "body drips", "chunked body stalls", "chunked body drips"])
def test_body_that_does_not_arrive_is_answered_with_408(held: dict[str, Held], name: str) -> None:
    answer = answer_in(held[name].received)

    assert_problem(answer, 408, "request-timeout")
    assert answer.headers["Connection"] == "close"
    assert held[name].seconds == pytest.approx(TIMEOUT_SECONDS, abs=1)


def test_request_may_arrive_in_pieces_on_a_kept_connection(impatient: ServiceProcess) -> None:
    with opened(impatient.api) as connection:
        connection.sendall(ALIVE + b"\r\n")
        first = answer_in(connection.recv(65536))
        # The first piece while the thread is still there, the others when it has gone and come back.
        pieces = [ALIVE[:20], ALIVE[20:], b"Connection: close\r\n\r\n"]
        second = answer_in(dripped(connection, pieces, pause_seconds=0.25))

    assert (first.status, second.status) == (200, 200)


def test_slow_client_is_no_error_of_the_service(held: dict[str, Held], impatient: ServiceProcess) -> None:
    del held
    assert not [line for line in impatient.log_lines if line["level"] == "error"]


def test_reader_that_stops_is_hung_up_on(impatient: ServiceProcess) -> None:
    correlation_id = unique()
    for _ in range(9):
        event = an_event(correlation_id=correlation_id, event_data={"text": "x" * 1_000_000})
        assert impatient.api.post(EVENTS, event).status == 201
    reader = SlowReader(impatient.api, f"{EVENTS}?correlation_id={correlation_id}")

    eventually(lambda: "Client stopped reading its answer" in impatient.log, timeout_seconds=10)

    with pytest.raises((HTTPException, ConnectionError)):
        reader.read_rest()
    reader.close()
    assert impatient.api.get("/health/live").status == 200


@pytest.mark.parametrize(
    ("sent", "status", "slug"),
    [
        pytest.param(CHUNKED + b"zz\r\n", 400, "validation-error", id="bad chunk"),
        pytest.param(
            HEAD + b"Content-Length: 99999999\r\n\r\n{}", 413, "request-too-large", id="too large a body"
        ),
    ],
)
def test_answer_after_which_nothing_can_follow_says_so(
    impatient: ServiceProcess, sent: bytes, status: int, slug: str
) -> None:
    answer: Answer = exchange(impatient.api, sent + ALIVE + b"\r\n")

    assert_problem(answer, status, slug)
    assert answer.headers["Connection"] == "close"


def test_clients_that_do_not_hang_up_hold_nobody_up(impatient: ServiceProcess) -> None:
    last_words = ALIVE + b"Connection: close\r\n\r\n"

    with still_open(impatient.api, last_words, count=20):
        slowest = max(timed(impatient.api) for _ in range(10))

    assert slowest < 1


@contextmanager
def still_open(api: Api, sent: bytes, *, count: int) -> Iterator[None]:
    """Ask for an answer after which the connection is closed, and do not close our side of it."""
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(opened(api))
            connection.sendall(sent)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        yield
