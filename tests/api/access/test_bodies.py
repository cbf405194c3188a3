"""Bodies of callers that are refused: neither waited for nor kept, and the answer arrives (access.md 21)."""

import http.client
import json
from urllib.parse import urlsplit

import pytest

from tests.api.access.conftest import VERBS, Caller, bearer
from tests.support.builders import EVENTS, an_event
from tests.support.http import JSON, assert_problem
from tests.support.raw_exchange import everything, opened
from tests.support.review_server import ACCESS_REVIEWS, TOKEN_REVIEWS, Account, ReviewServer
from tests.support.started import StartService

EVENT = json.dumps(an_event()).encode()
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HEAD = f"POST {EVENTS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(EVENT) + EVENT,
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(EVENT), EVENT),
        b"Origin: https://example.org\r\nContent-Length: %d\r\n\r\n" % len(EVENT) + EVENT,
        b"Content-Length: %d\r\n\r\n" % len(EVENT) + EVENT,
    ],
    ids=["charset", "chunked", "origin", "no type"],
)
def test_event_without_token_is_refused_whatever_form_it_has(
    caller: Caller, reviews: ReviewServer, rest: bytes
) -> None:
    with opened(caller.api) as sock:
        sock.sendall(HEAD + rest)
        answer = everything(sock)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert not reviews.counts


def test_event_by_http_1_0_without_token_is_refused(caller: Caller) -> None:
    with opened(caller.api) as sock:
        sock.sendall(f"POST {EVENTS} HTTP/1.0\r\nContent-Length: {len(EVENT)}\r\n\r\n".encode() + EVENT)
        answer = everything(sock)

    assert b" 401 " in answer.split(b"\r\n")[0]


def test_size_and_type_are_judged_before_the_caller_and_the_body_after(caller: Caller) -> None:
    post = caller.api.post
    assert_problem(post(EVENTS, body=b"{"), 401, "unauthorized")
    assert_problem(post(EVENTS, body=b"x", **{"Content-Type": "text/plain"}), 415, "unsupported-media-type")
    assert_problem(post(EVENTS, body=b"x" * (11 << 20)), 413, "request-too-large")


@pytest.mark.parametrize("shown", [{}, bearer("B")], ids=["no token", "unknown token"])
def test_client_that_sends_five_megabytes_first_sees_every_refusal(
    caller: Caller, shown: dict[str, str]
) -> None:
    def refused() -> int:
        parts = urlsplit(caller.api.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        connection.request("POST", EVENTS, body=b"x" * (5 << 20), headers=JSON | shown)
        status = connection.getresponse().status
        connection.close()
        return status

    assert [refused() for _ in range(20)] == [401] * 20


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("B", 401), ("R", 403)])
@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        b"Content-Length: 5242880\r\n\r\n[",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n",
    ],
    ids=["held back", "chunks held back", "5 MB", "chunks"],
)
def test_body_of_a_refused_caller_is_neither_asked_for_nor_awaited(
    caller: Caller, token: str | None, status: int, rest: bytes
) -> None:
    shown = b"" if token is None else f"Authorization: Bearer {token}\r\n".encode()

    with opened(caller.api) as sock:
        sock.settimeout(10)  # a third of what a body may take
        sock.sendall(HEAD + shown + rest)
        answer = everything(sock)

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in answer


@pytest.fixture(scope="module")
def forgetful(reviews: ReviewServer, start_service: StartService) -> Caller:
    """A service that keeps no review, and takes three writes."""
    own = {"AUTH_CACHE_TTL": "0s", "RATE_LIMIT_WRITES": "3/minute", "SERVER_WORKERS": "1"}
    return Caller(start_service(**reviews.settings | own).api)


def test_large_body_is_read_after_its_caller_is_admitted_once(
    forgetful: Caller, reviews: ReviewServer
) -> None:
    reviews.accounts["W"] = Account("system:serviceaccount:kubernaut-system:w", VERBS["W"])
    reviews.forget()
    large = json.dumps(an_event(event_data={"text": "x" * 100_000})).encode()
    framed = [
        b"Content-Length: %d\r\n\r\n%s" % (len(large), large),
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(large), large),
    ]

    def answered(rest: bytes) -> list[bytes]:
        with opened(forgetful.api) as sock:
            sock.sendall(HEAD + b"Authorization: Bearer W\r\n" + rest)
            return everything(sock).split(b"\r\n")

    first, second = (answered(rest)[0] for rest in framed)
    with opened(forgetful.api) as sock:
        announced = b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(EVENT)
        sock.sendall(HEAD + b"Authorization: Bearer W\r\n" + announced)
        asked = sock.recv(len(CONTINUE))
        sock.sendall(EVENT)
        third = everything(sock).split(b"\r\n")[0]
    fourth = answered(b"Content-Length: 5242880\r\n\r\n[")

    assert all(each.startswith(b"HTTP/1.1 201 ") for each in (first, second, third))
    assert asked == CONTINUE
    assert fourth[0].startswith(b"HTTP/1.1 503 ")
    assert b'RateLimit-Policy: "write";q=3;w=60' in fourth
    assert reviews.counts == {TOKEN_REVIEWS: 4, ACCESS_REVIEWS: 4}


def test_refusals_of_small_events_keep_their_connection(caller: Caller) -> None:
    parts = urlsplit(caller.api.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.connect()
    sock = connection.sock
    for _ in range(100):
        connection.request("POST", EVENTS, body=EVENT, headers=JSON)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 401

    assert connection.sock is sock
    connection.close()
