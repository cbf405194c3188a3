"""Bodies of callers that are refused: neither waited for nor kept, and the answer arrives (access.md 21)."""

import http.client
import json
from urllib.parse import urlsplit

import pytest

from tests.api.access.conftest import Caller
from tests.support.builders import EVENTS, an_event
from tests.support.http import JSON, assert_problem
from tests.support.raw_exchange import everything, opened
from tests.support.review_server import ReviewServer

EVENT = json.dumps(an_event()).encode()
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


def test_client_that_sends_five_megabytes_first_sees_every_refusal(caller: Caller) -> None:
    def refused() -> int:
        parts = urlsplit(caller.api.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        connection.request(
            "POST", EVENTS, body=b"x" * (5 << 20), headers={"Content-Type": "application/json"}
        )
        status = connection.getresponse().status
        connection.close()
        return status

    assert [refused() for _ in range(20)] == [401] * 20


def test_nobody_is_told_to_go_on_with_a_body_that_is_refused(caller: Caller) -> None:
    with opened(caller.api) as sock:
        sock.sendall(HEAD + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n")
        answer = everything(sock)

    assert answer.startswith(b"HTTP/1.1 401 ")


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
