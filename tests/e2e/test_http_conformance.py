"""What RFC 9110 and RFC 9112 demand of a server, on the wire; every refusal is a problem document."""

import json

import pytest

from tests.support.builders import EVENTS, an_event
from tests.support.conversation import Conversation
from tests.support.http import Api, assert_problem
from tests.support.raw_exchange import exchange

HOST = b"Host: localhost\r\n"
CLOSE = b"Connection: close\r\n"
LIVE = "/health/live"


def asked(target: str, headers: bytes = HOST, *, method: str = "GET", version: str = "1.1") -> bytes:
    """Return a request without a body, after which the connection ends."""
    return f"{method} {target} HTTP/{version}\r\n".encode() + headers + CLOSE + b"\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(b"", id="none"),
        pytest.param(HOST + HOST, id="two"),
        pytest.param(b"Host: localhost, other\r\n", id="list"),
        pytest.param(b"Host: local host\r\n", id="space"),
        pytest.param(b"Host: localhost/path\r\n", id="path"),
        pytest.param(b"Host: user@localhost\r\n", id="user"),
        pytest.param(b"Host: localhost:http\r\n", id="port that is no number"),
        pytest.param(b"Host: [::1\r\n", id="half an address"),
        pytest.param("Host: höst\r\n".encode(), id="not ASCII"),
        pytest.param(b"Host: localhost\x00\r\n", id="control character"),
    ],
)
def test_host_that_is_none_is_refused(api: Api, headers: bytes) -> None:
    answer = exchange(api, asked(LIVE, headers))

    assert_problem(answer, 400, "validation-error")
    assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize(
    "headers",
    [
        b"Host: localhost:8080\r\n",
        b"hOST:localhost\r\n",
        b"Host:\r\n",
        b"Host: [::1]:8080\r\n",
        b"Host: data-storage.svc.\r\n",
        b"Host: a_b-c.example\r\n",
    ],
)
def test_host_of_any_form_is_served(api: Api, headers: bytes) -> None:
    assert exchange(api, asked(LIVE, headers)).status == 200


def test_http_1_0_needs_no_host_but_a_valid_one(api: Api) -> None:
    assert exchange(api, asked(LIVE, b"", version="1.0")).status == 200
    assert exchange(api, asked(LIVE, b"Host: a b\r\n", version="1.0")).status == 400


@pytest.mark.parametrize("version", ["2.0", "3.0", "9.9"])
def test_other_major_version_is_not_supported(api: Api, version: str) -> None:
    answer = exchange(api, asked(LIVE, version=version))

    assert_problem(answer, 505, "http-error")


@pytest.mark.parametrize("version", ["1.2", "1.9"])
def test_later_minor_version_is_served(api: Api, version: str) -> None:
    assert exchange(api, asked(LIVE, version=version)).status == 200


def posted(headers: bytes, body: bytes) -> bytes:
    content = b"Content-Type: application/json\r\n"
    return f"POST {EVENTS} HTTP/1.1\r\n".encode() + HOST + CLOSE + content + headers + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"deflate,chunked", b"identity, chunked", b"xyz"])
def test_other_transfer_coding_is_not_implemented(api: Api, coding: bytes) -> None:
    body = chunked(json.dumps(an_event()).encode())

    answer = exchange(api, posted(b"Transfer-Encoding: " + coding + b"\r\n", body))

    assert_problem(answer, 501, "http-error")


@pytest.mark.parametrize(
    "headers",
    [
        b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n",
    ],
)
def test_body_whose_end_is_unknown_is_refused(api: Api, headers: bytes) -> None:
    assert_problem(exchange(api, posted(headers, chunked(b"{}"))), 400, "validation-error")


def test_chunked_in_capitals_with_extension_and_trailer_is_read(api: Api) -> None:
    event = json.dumps(an_event()).encode()
    body = b"%X;name=value\r\n%s\r\n000\r\nX-Trailer: a\r\n\r\n" % (len(event), event)

    assert exchange(api, posted(b"Transfer-Encoding: Chunked\r\n", body)).status == 201


def test_options_of_the_service_names_its_methods(api: Api) -> None:
    answer = exchange(api, asked("*", method="OPTIONS"))

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, PATCH, POST"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_asterisk_is_a_target_of_options_alone(api: Api, method: str) -> None:
    assert_problem(exchange(api, asked("*", method=method)), 400, "validation-error")


@pytest.mark.parametrize(
    "target",
    [
        "//api/v1/audit/events",
        "///health/live",
        "/api//v1/audit/events",
        "/api%2fv1/audit/events",
        "/api/v1%2Faudit/events",
        "/%2fapi/v1/audit/events",
        "/api/v1/./audit/events",
        "/api/v1/x/../audit/events",
        "/api/v1/audit/events/",
        "/api/v1/audit/events;a=1",
        "/api/v1/audit/events%3Flimit=1",
        "/api%5cv1/audit/events",
        "/API/v1/audit/events",
        "http://localhost//api/v1/audit/events",
        "http://localhost",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_path_that_is_only_similar_is_unknown(api: Api, target: str, method: str) -> None:
    assert_problem(exchange(api, asked(target, method=method)), 404, "not-found")


@pytest.mark.parametrize("target", ["/%68ealth/live", "/health/live?", "/health/live?a=/../b&c=%2f"])
def test_path_that_is_the_same_is_found(api: Api, target: str) -> None:
    assert exchange(api, asked(target)).status == 200


@pytest.mark.parametrize(
    "target",
    ["http://localhost/health/live", "HTTP://other.example:80/health/live?x", "https://[::1]/health/live"],
)
def test_absolute_target_is_served(api: Api, target: str) -> None:
    assert exchange(api, asked(target)).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/health/live#part",
        "ftp://localhost/health/live",
        "http:///health/live",
        "http://user@localhost/health/live",
        "localhost/health/live",
        "health/live",
    ],
)
def test_target_that_is_none_is_refused(api: Api, target: str) -> None:
    assert_problem(exchange(api, asked(target)), 400, "validation-error")


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c", b"HTTP/3, TLS/1.3"])
def test_upgrade_is_ignored(api: Api, protocol: bytes) -> None:
    headers = (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol + b"\r\nHTTP2-Settings: AAMAAABk\r\n"
    )
    event = json.dumps(an_event()).encode()
    length = b"Content-Length: %d\r\n" % len(event)

    read = exchange(api, f"GET {LIVE} HTTP/1.1\r\n".encode() + HOST + headers + CLOSE + b"\r\n")
    written = exchange(api, posted(headers + length, event))

    assert (read.status, written.status) == (200, 201)


def test_handshake_of_a_websocket_is_an_ordinary_request(api: Api) -> None:
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    headers = HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + key

    with Conversation(api) as conversation:
        conversation.send(f"GET {LIVE} HTTP/1.1\r\n".encode() + headers + b"\r\n")
        conversation.send(asked(LIVE))
        answers = conversation.answers()

    assert answers == [(200, b'{"status":"alive"}')] * 2


def test_connection_ends_when_a_list_of_options_says_so(api: Api) -> None:
    with Conversation(api) as conversation:
        conversation.send(f"GET {LIVE} HTTP/1.1\r\n".encode() + HOST + b"Connection: TE, Close\r\n\r\n")
        conversation.send(asked(LIVE))
        answers = conversation.answers()

    assert len(answers) == 1


def test_unknown_expectation_fails(api: Api) -> None:
    answer = exchange(api, asked(LIVE, HOST + b"Expect: miracles\r\n"))

    assert_problem(answer, 417, "http-error")


def test_folded_header_is_refused(api: Api) -> None:
    assert_problem(exchange(api, asked(LIVE, HOST + b"X-A: b\r\n c\r\n")), 400, "validation-error")


def test_head_has_the_headers_of_get_and_no_body(api: Api) -> None:
    get, head = (exchange(api, asked(LIVE, method=method)) for method in ("GET", "HEAD"))

    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


def test_tunnel_is_refused(api: Api) -> None:
    answer = exchange(api, asked("localhost:443", method="CONNECT"))

    assert 400 <= answer.status < 600
    assert answer.headers["Content-Type"] == "application/problem+json"
