"""Answers what never becomes a request with a problem document; the connection is closed afterwards."""

import logging
import socket
import uuid
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from gunicorn.http import errors as http_errors

from datastorage.platform.web import json
from datastorage.platform.web.problems import (
    FIRST_SERVER_ERROR,
    HTTP_ERROR,
    INTERNAL_ERROR,
    KINDS,
    MEDIA_TYPE,
    document,
)

logger = logging.getLogger(__name__)


class _Refusal(NamedTuple):
    """What a client is told; ``status`` is that of a slug without one of its own."""

    slug: str
    detail: str
    status: HTTPStatus | None = None


_NOT_HTTP: Final = _Refusal("validation-error", "the request is not valid HTTP")
_REFUSALS: Final[tuple[tuple[type[Exception], _Refusal], ...]] = (
    (http_errors.LimitRequestLine, _Refusal("uri-too-long", "the request line is too long")),
    (
        http_errors.LimitRequestHeaders,
        _Refusal(
            "request-header-fields-too-large", "a request header, or all of them together, are too large"
        ),
    ),
    (
        http_errors.UnsupportedTransferCoding,
        _Refusal(HTTP_ERROR, "the only transfer coding is chunked", HTTPStatus.NOT_IMPLEMENTED),
    ),
    (
        http_errors.ExpectationFailed,
        _Refusal(HTTP_ERROR, "the only expectation is 100-continue", HTTPStatus.EXPECTATION_FAILED),
    ),
    (http_errors.ParseException, _NOT_HTTP),
)
_OTHER_VERSION: Final = _Refusal(
    HTTP_ERROR, "the version of HTTP must be 1.1 or 1.0", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
)
_OURS: Final = (http_errors.InvalidResponseHeader, http_errors.InvalidResponseHeaderName)
"""A header that the application tried to send is our fault, although its class says otherwise."""


def answer_malformed(req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
    """Answer what gunicorn could not read, or could not send; what the client did wrong is only a warning."""
    refusal = _refusal_for(exc)
    request_id = f"req-{uuid.uuid4().hex}"
    if refusal is None:
        logger.error("Request handling failed", exc_info=exc, extra={"request_id": request_id})
        refusal = _Refusal("internal-error", INTERNAL_ERROR)
    else:
        remote = addr[0] if addr else ""
        extra = {"slug": refusal.slug, "remote_addr": remote, "request_id": request_id}
        logger.warning("Malformed HTTP refused", extra=extra)
    path = getattr(req, "path", "") or ""
    problem = document(
        refusal.slug, refusal.detail, instance=path, request_id=request_id, **_members(refusal)
    )
    body = json.encode(problem)
    head = (
        f"HTTP/1.1 {problem['status']} {problem['title']}\r\n"
        f"Connection: close\r\n"
        f"Content-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\n"
        f"X-Request-ID: {request_id}\r\n\r\n"
    )
    with suppress(OSError):  # the client is gone
        client.sendall(head.encode("ascii") + body)


def _members(refusal: _Refusal) -> dict[str, Any]:
    if (status := refusal.status) is not None:
        is_repeatable = status >= FIRST_SERVER_ERROR or None
        return {"title": status.phrase, "status": status.value, "retry": is_repeatable}
    if KINDS[refusal.slug].status == HTTPStatus.BAD_REQUEST:
        return {"field_errors": {"body": refusal.detail}}
    return {}


def _refusal_for(error: Exception) -> _Refusal | None:
    if isinstance(error, _OURS):
        return None
    if isinstance(error, http_errors.InvalidHTTPVersion) and isinstance(error.version, tuple):
        return _OTHER_VERSION
    return next((refusal for cls, refusal in _REFUSALS if isinstance(error, cls)), None)
