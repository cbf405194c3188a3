"""What never becomes a request is answered in the words of the API, and the connection is closed."""

import pytest

from tests.support.http import Api, assert_problem
from tests.support.raw_exchange import exchange

HOST = b"Host: localhost\r\n"
LONG_LINE = b"GET /api/v1/audit/events?severity=" + b"x" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"
LARGE_HEADER = b"GET /health HTTP/1.1\r\n" + HOST + b"X-Large: " + b"x" * 9000 + b"\r\n\r\n"
MANY_HEADERS = b"GET /health HTTP/1.1\r\n" + HOST + b"X-Many: 1\r\n" * 200 + b"\r\n"
GARBAGE = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no TLS here\r\n\r\n"
NO_VERSION = b"GET /health\r\n\r\n"
BAD_METHOD = b"G@T /health HTTP/1.1\r\n" + HOST + b"\r\n"
BAD_HEADER = b"GET /health HTTP/1.1\r\n" + HOST + b"no colon here\r\n\r\n"
TWO_LENGTHS = b"POST /api/v1/audit/events HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 2\r\n\r\n{}"
BAD_CHUNK = (
    b"POST /api/v1/audit/events HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
)


@pytest.mark.parametrize(
    ("sent", "status", "slug"),
    [
        pytest.param(LONG_LINE, 414, "uri-too-long", id="request line of 9000 bytes"),
        pytest.param(LARGE_HEADER, 431, "request-header-fields-too-large", id="header of 9000 bytes"),
        pytest.param(MANY_HEADERS, 431, "request-header-fields-too-large", id="200 headers"),
        pytest.param(GARBAGE, 400, "validation-error", id="TLS on a plain port"),
        pytest.param(NO_VERSION, 400, "validation-error", id="no HTTP version"),
        pytest.param(BAD_METHOD, 400, "validation-error", id="impossible method"),
        pytest.param(BAD_HEADER, 400, "validation-error", id="header without colon"),
        pytest.param(TWO_LENGTHS, 400, "validation-error", id="two lengths"),
    ],
)
def test_malformed_http_gets_a_problem_document(api: Api, sent: bytes, status: int, slug: str) -> None:
    answer = exchange(api, sent)

    problem = assert_problem(answer, status, slug)
    assert answer.headers["Connection"] == "close"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert ("body" in problem.get("field_errors", {})) is (status == 400)
    assert b"<html" not in answer.body


def test_connection_ends_after_a_chunk_that_is_none(api: Api) -> None:
    pretended = b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n"

    answer = exchange(api, BAD_CHUNK + pretended)

    problem = assert_problem(answer, 400, "validation-error")
    assert "body" in problem["field_errors"]
    assert b"HTTP/1.1" not in answer.body  # what follows is not taken for a request


def test_service_goes_on_after_malformed_requests(api: Api) -> None:
    for sent in (GARBAGE, LONG_LINE, BAD_CHUNK) * 20:
        exchange(api, sent)

    assert api.get("/health/live").status == 200
