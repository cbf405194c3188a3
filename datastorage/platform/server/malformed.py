"""What never becomes a request is answered with a problem document, and the connection is closed."""

import logging
import socket
import uuid
from typing import Any

from gunicorn.http import errors as http_errors

from datastorage.platform.web import json
from datastorage.platform.web.problems import KINDS, MEDIA_TYPE, document

logger = logging.getLogger(__name__)

_SLUGS: tuple[tuple[type[Exception], str, str], ...] = (
    (http_errors.LimitRequestLine, "uri-too-long", "the request line is too long"),
    (
        http_errors.LimitRequestHeaders,
        "request-header-fields-too-large",
        "a request header, or all of them together, are too large",
    ),
    (http_errors.ParseException, "validation-error", "the request is not valid HTTP"),
)


def answer_malformed(req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
    """Answer what gunicorn could not read, or could not send; a client's fault is no error of ours."""
    slug, detail = _slug_of(exc)
    request_id = f"req-{uuid.uuid4().hex}"
    if slug == "internal-error":
        logger.error("Request handling failed", exc_info=exc, extra={"request_id": request_id})
    else:
        remote = addr[0] if addr else ""
        extra = {"slug": slug, "remote_addr": remote, "request_id": request_id}
        logger.warning("Malformed HTTP refused", extra=extra)
    members = {"field_errors": {"body": detail}} if KINDS[slug].status == 400 else {}  # noqa: PLR2004
    problem = document(
        slug, detail, instance=getattr(req, "path", "") or "", request_id=request_id, **members
    )
    _send(client, slug, json.encode(problem), request_id)


def _slug_of(error: Exception) -> tuple[str, str]:
    # A header that the application tried to send is our fault, although its class says otherwise.
    ours = (http_errors.InvalidResponseHeader, http_errors.InvalidResponseHeaderName)
    if not isinstance(error, ours):
        for cls, slug, detail in _SLUGS:
            if isinstance(error, cls):
                return slug, detail
    return "internal-error", "internal error - the log has it under this request id"


def _send(client: socket.socket, slug: str, body: bytes, request_id: str) -> None:
    kind = KINDS[slug]
    head = (
        f"HTTP/1.1 {kind.status} {kind.title}\r\n"
        f"Connection: close\r\n"
        f"Content-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\n"
        f"X-Request-ID: {request_id}\r\n\r\n"
    )
    try:
        client.sendall(head.encode("ascii") + body)
    except OSError:
        logger.debug("Client went away before its error could be sent")
