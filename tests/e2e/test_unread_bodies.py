"""After a refusal the rest of a body is dropped: clients that send everything first see the answer."""

import http.client
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import pytest

from tests.support.builders import EVENTS, an_event
from tests.support.conversation import Conversation
from tests.support.http import Api
from tests.support.processes import holds_connection_from
from tests.support.raw_exchange import answer_in, everything, opened
from tests.support.service import ServiceProcess
from tests.support.started import StartService
from tests.support.waiting import eventually

HOST = b"Host: localhost\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
TOO_LARGE = 11 * 1024 * 1024
THREADS = 4


@pytest.fixture(scope="module")
def small(start_service: StartService) -> ServiceProcess:
    return start_service(SERVER_WORKERS="1", SERVER_THREADS=str(THREADS))


def posting(headers: bytes, target: str = EVENTS) -> bytes:
    return f"POST {target} HTTP/1.1\r\n".encode() + HOST + headers + b"\r\n"


@pytest.mark.parametrize(
    ("length", "content_type", "status"),
    [(TOO_LARGE, "application/json", 413), (5 * 1024 * 1024, "text/plain", 415)],
)
def test_client_that_sends_first_sees_every_refusal(
    small: ServiceProcess, length: int, content_type: str, status: int
) -> None:
    def refused() -> tuple[int, str | None]:
        parts = urlsplit(small.api.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        connection.request("POST", EVENTS, body=b"x" * length, headers={"Content-Type": content_type})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status, answer.headers["Connection"]

    assert [refused() for _ in range(20)] == [(status, "close")] * 20


Framed = Callable[[bytes], tuple[bytes, bytes]]


def with_length(body: bytes) -> tuple[bytes, bytes]:
    return b"Content-Length: %d\r\n" % len(body), body


def in_chunks(body: bytes) -> tuple[bytes, bytes]:
    return b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("framed", [with_length, in_chunks])
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(b"Content-Type: text/plain\r\n", id="media type"),
        pytest.param(b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n", id="coding"),
    ],
)
def test_connection_goes_on_after_a_refused_body_that_is_there(
    small: ServiceProcess, framed: Framed, headers: bytes
) -> None:
    framing, body = framed(b"x" * 1000)

    with Conversation(small.api) as conversation:
        conversation.send(3 * (posting(headers + framing) + body) + LIVE)
        answers = conversation.answers()

    assert [status for status, _ in answers] == [415, 415, 415, 200]


def test_longest_body_that_is_dropped_has_64_kib(small: ServiceProcess) -> None:
    answered = {}
    for length in (64 * 1024, 64 * 1024 + 1):
        with Conversation(small.api) as conversation:
            conversation.send(posting(b"Content-Type: text/plain\r\nContent-Length: %d\r\n" % length))
            conversation.send(b"x" * length + LIVE)
            answered[length] = [status for status, _ in conversation.answers()]

    assert list(answered.values()) == [[415, 200], [415]]


@pytest.mark.parametrize("target", ["/nowhere", "/api/v1/incidents/aggregate/by-severity"])
def test_body_of_a_request_that_takes_none_is_dropped(small: ServiceProcess, target: str) -> None:
    with Conversation(small.api) as conversation:
        for _ in range(100):
            conversation.send(posting(b"Content-Length: 9\r\n", target) + b"x" * 9)
        conversation.send(LIVE)
        answers = conversation.answers()

    assert len(answers) == 101
    assert answers[-1][0] == 200


def test_refused_bodies_that_never_end_hold_no_thread(small: ServiceProcess) -> None:
    stalled = posting(b"Content-Type: text/plain\r\nContent-Length: 9000000\r\n") + b"x"
    chunked = posting(b"Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n") + b"9\r\n"

    with ExitStack() as stack:
        held = [stack.enter_context(opened(small.api)) for _ in range(8 * THREADS)]
        for number, connection in enumerate(held):
            connection.sendall(chunked if number % 2 else stalled)
        written = small.api.post(EVENTS, an_event())
        answers = [answer_in(everything(connection)) for connection in held]

    assert written.status == 201
    assert {(each.status, each.headers["Connection"]) for each in answers} == {(415, "close")}


def test_goodbye_ends_while_the_client_keeps_its_connection_open(small: ServiceProcess) -> None:
    with opened(small.api) as connection:
        _, port = connection.getsockname()[:2]
        connection.sendall(posting(b"Content-Length: %d\r\n" % TOO_LARGE) + b"x")
        held = holds_connection_from(small.pid, port)
        assert answer_in(everything(connection)).status == 413
        eventually(lambda: not holds_connection_from(small.pid, port), timeout_seconds=10)

    assert held


EXPECT = b"Expect: 100-continue\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        pytest.param(posting(EXPECT + b"Content-Type: text/plain\r\nContent-Length: 9\r\n"), 415, id="type"),
        pytest.param(posting(EXPECT + b"Content-Length: %d\r\n" % TOO_LARGE), 413, id="too large"),
        pytest.param(posting(EXPECT + b"Content-Length: 9\r\n", "/nowhere"), 404, id="unknown"),
        pytest.param(posting(EXPECT + b"Content-Length: 9\r\n", "/health/live"), 405, id="method"),
        pytest.param(
            posting(EXPECT + b"Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"), 415, id="chunked"
        ),
    ],
)
def test_body_that_will_not_be_read_is_not_asked_for(
    small: ServiceProcess, request_head: bytes, status: int
) -> None:
    with opened(small.api) as connection:
        connection.sendall(request_head)
        received = everything(connection)

    assert CONTINUE not in received
    assert answer_in(received).status == status
    assert answer_in(received).headers["Connection"] == "close"


@pytest.mark.parametrize("framed", [with_length, in_chunks])
def test_body_that_will_be_read_is_asked_for_once(small: ServiceProcess, framed: Framed) -> None:
    headers, body = framed(json.dumps(an_event()).encode())

    with opened(small.api) as connection:
        connection.sendall(
            posting(EXPECT + b"Connection: close\r\nContent-Type: application/json\r\n" + headers)
        )
        asked = connection.recv(len(CONTINUE))
        connection.sendall(body)
        answer = answer_in(everything(connection))

    assert (asked, answer.status) == (CONTINUE, 201)


def test_crowd_that_sends_too_much_at_once_stops_nothing(small: ServiceProcess) -> None:
    """Connections beyond sixteen may be reset; the others see their answers."""

    def send_too_much(_: int) -> bytes:
        with opened(small.api) as connection:
            with suppress(ConnectionError):
                connection.sendall(posting(b"Content-Length: %d\r\n" % TOO_LARGE) + b"x" * TOO_LARGE)
                return connection.recv(12)
            return b""

    with ThreadPoolExecutor(32) as clients:
        sending = clients.map(send_too_much, range(32))
        written = small.api.post(EVENTS, an_event())
        said = list(sending)

    assert written.status == 201
    assert said.count(b"HTTP/1.1 413") >= 16
    assert set(said) <= {b"HTTP/1.1 413", b""}


def test_half_closed_client_gets_its_answer(api: Api) -> None:
    with opened(api) as connection:
        connection.sendall(LIVE)
        connection.shutdown(socket.SHUT_WR)

        assert answer_in(everything(connection)).status == 200
