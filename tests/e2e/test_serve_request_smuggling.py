"""Where one request ends and the next begins is never a matter of opinion.

A proxy in front of the service and the service itself must see the same requests. Whatever could be read in
two ways is refused, and what follows on the connection is not taken for a request.
"""

import pytest

from tests.support.conversation import Conversation
from tests.support.http import Api

LIVE = b"/health/live"
HOST = b"Host: localhost\r\n"
PRETENDED = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(PRETENDED)


def a_post(headers: bytes, body: bytes = PRETENDED) -> bytes:
    """Return a POST that ends with something that looks like a request of its own."""
    return b"POST /api/v1/audit/events HTTP/1.1\r\n" + HOST + headers + b"\r\n" + body


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(a_post(LENGTH + b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n" + PRETENDED), id="both"),
        pytest.param(a_post(b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"), id="both, other order"),
        pytest.param(a_post(b"Content-Length: 0\r\n" + LENGTH), id="two different lengths"),
        pytest.param(a_post(b"Content-Length: 0, 0\r\n"), id="a list of lengths"),
        pytest.param(a_post(b"Content-Length: +5\r\n"), id="length with a sign"),
        pytest.param(a_post(b"Content-Length: -1\r\n"), id="negative length"),
        pytest.param(a_post(b"Content-Length: 0x10\r\n"), id="hexadecimal length"),
        pytest.param(a_post(b"Content-Length: 1_0\r\n"), id="length with an underscore"),
        pytest.param(a_post("Content-Length: \u0665\r\n".encode()), id="length in other digits"),
        pytest.param(a_post(b"Content-Length : 0\r\n"), id="space before the colon"),
        pytest.param(a_post(b"Content-Length\x0b: 0\r\n"), id="control character in a name"),
        pytest.param(a_post(b"X-Folded: a\r\n Content-Length: 0\r\n"), id="folded header"),
        pytest.param(a_post(b"Transfer-Encoding: xchunked\r\n"), id="unknown coding"),
        pytest.param(a_post(b"Transfer-Encoding: chunked, identity\r\n"), id="chunked is not last"),
        pytest.param(a_post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"), id="two codings"),
        pytest.param(a_post(b"Transfer-Encoding: \x0bchunked\r\n"), id="coding behind a control character"),
        pytest.param(a_post(b"X-Null: a\x00b\r\nContent-Length: 0\r\n"), id="null in a value"),
        pytest.param(a_post(b"X-Split: a\rContent-Length: 0\r\n"), id="bare carriage return"),
        pytest.param(b"GET /health/live\r\n" + HOST + b"\r\n" + PRETENDED, id="no version"),
        pytest.param(b"GET  /health/live  HTTP/1.1\r\n" + HOST + b"\r\n" + PRETENDED, id="many spaces"),
        pytest.param(b"GET /health/live HTTP/1.1 x\r\n" + HOST + b"\r\n" + PRETENDED, id="more in the line"),
    ],
)
def test_ambiguous_request_is_refused_and_nothing_behind_it_answered(api: Api, sent: bytes) -> None:
    with Conversation(api) as conversation:
        conversation.send(sent)
        answers = conversation.answers()

    assert len(answers) == 1, answers
    assert 400 <= answers[0][0] < 600
    assert b"alive" not in answers[0][1]


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(b"zz\r\n{}\r\n0\r\n\r\n", id="size that is no number"),
        pytest.param(b"-2\r\n{}\r\n0\r\n\r\n", id="negative size"),
        pytest.param(b"0x2\r\n{}\r\n0\r\n\r\n", id="prefix"),
        pytest.param(b"1_0\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n", id="underscore"),
        pytest.param(b"2\r\n{}XX0\r\n\r\n", id="no line end behind the data"),
        pytest.param(b"2\n{}\n0\n\n", id="bare line feeds"),
    ],
)
def test_nothing_is_answered_behind_a_chunk_that_is_none(api: Api, chunks: bytes) -> None:
    headers = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"

    with Conversation(api) as conversation:
        conversation.send(a_post(headers, chunks + PRETENDED))
        answers = conversation.answers()

    assert [status for status, _ in answers] == [400]


def test_body_that_nobody_wanted_is_not_taken_for_a_request(api: Api) -> None:
    wanted = b"GET /health/live HTTP/1.1\r\n" + HOST + LENGTH + b"\r\n" + PRETENDED
    last = b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"

    with Conversation(api) as conversation:
        conversation.send(wanted + last)
        answers = conversation.answers()

    assert [body for _, body in answers if b"alive" in body] == [b'{"status":"alive"}']
    assert len(answers) == 2


def test_pipelined_requests_are_answered_in_their_order(api: Api) -> None:
    unknown = b"GET /nowhere/%d HTTP/1.1\r\n" + HOST + b"\r\n"
    last = b"GET /health/live HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"

    with Conversation(api) as conversation:
        conversation.send(b"".join(unknown % number for number in range(50)) + last)
        answers = conversation.answers()

    assert [status for status, _ in answers] == [404] * 50 + [200]
    assert all(b'"/nowhere/%d"' % number in answers[number][1] for number in range(50))


def test_request_in_small_pieces_between_others_is_answered(api: Api) -> None:
    sent = (b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n") * 3 + PRETENDED

    with Conversation(api) as conversation:
        for place in range(0, len(sent), 7):
            conversation.send(sent[place : place + 7])
        answers = conversation.answers()

    assert answers == [(200, b'{"status":"alive"}')] * 4


@pytest.mark.parametrize(
    "header",
    [b"SCRIPT_NAME: /health", b"PATH_INFO: /metrics", b"X-Forwarded-Proto: https", b"X-Forwarded-Ssl: on"],
)
def test_no_header_says_which_path_or_scheme_was_asked_for(api: Api, header: bytes) -> None:
    wanted = b"GET /health/live HTTP/1.1\r\n" + HOST + header + b"\r\nConnection: close\r\n\r\n"

    with Conversation(api) as conversation:
        conversation.send(wanted)
        answers = conversation.answers()

    assert answers == [(200, b'{"status":"alive"}')]
