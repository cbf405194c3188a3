"""Answers what never becomes a request with a problem document; the connection is closed afterwards."""

import logging
import socket
import uuid
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from gunicorn.http import errors as http_errors

from datastorage.platform.web import json
from datastorage.platform.web.problems import INTERNAL_ERROR, KINDS, MEDIA_TYPE, document

logger = logging.getLogger(__name__)

_REFUSALS: tuple[tuple[type[Exception], str, str], ...] = (
    (http_errors.LimitRequestLine, "uri-too-long", "the request line is too long"),
    (
        http_errors.LimitRequestHeaders,
        "request-header-fields-too-large",
        "a request header, or all of them together, are too large",
    ),
    (http_errors.ParseException, "validation-error", "the request is not valid HTTP"),
)


def answer_malformed(req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
    """Answer what gunicorn could not read, or could not send; what the client did wrong is only a warning."""
    slug, detail = _refusal_for(exc)
    request_id = f"req-{uuid.uuid4().hex}"
    if slug == "internal-error":
        logger.error("Request handling failed", exc_info=exc, extra={"request_id": request_id})
    else:
        remote = addr[0] if addr else ""
        extra = {"slug": slug, "remote_addr": remote, "request_id": request_id}
        logger.warning("Malformed HTTP refused", extra=extra)
    kind = KINDS[slug]
    field_errors = {"body": detail} if kind.status == HTTPStatus.BAD_REQUEST else None
    path = getattr(req, "path", "") or ""
    problem = document(slug, detail, instance=path, request_id=request_id, field_errors=field_errors)
    body = json.encode(problem)
    head = (
        f"HTTP/1.1 {kind.status} {kind.title}\r\n"
        f"Connection: close\r\n"
        f"Content-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\n"
        f"X-Request-ID: {request_id}\r\n\r\n"
    )
    with suppress(OSError):  # the client is gone
        client.sendall(head.encode("ascii") + body)


def _refusal_for(error: Exception) -> tuple[str, str]:
    # A header that the application tried to send is our fault, although its class says otherwise.
    ours = (http_errors.InvalidResponseHeader, http_errors.InvalidResponseHeaderName)
    if not isinstance(error, ours):
        for cls, slug, detail in _REFUSALS:
            if isinstance(error, cls):
                return slug, detail
    return "internal-error", INTERNAL_ERROR
