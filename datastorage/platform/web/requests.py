"""What every request gets: an id, a place in the log, and a body read within its limits."""

import logging
import re
from collections.abc import Mapping
from os import urandom
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIEnvironment

from flask import Flask, Response, g, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected

from datastorage.errors import (
    Fault,
    InvalidInput,
    NotFound,
    RequestTimeout,
    RequestTooLarge,
    UnsupportedMediaType,
)
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.logs import RequestContext, log_lean, request_context
from datastorage.platform.web.sent import Sent
from datastorage.settings import ServerSettings

logger = logging.getLogger("datastorage.access")

REQUEST_ID: Final = "X-Request-ID"
CORRELATION_ID: Final = "X-Correlation-ID"
RAISED: Final = "datastorage.raised"
"""Key of the WSGI environ: the error of a request that was read, and perhaps carried out, before Flask."""
PROBE_PREFIXES: Final = ("/health", "/metrics")

_REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_TRACEPARENT_PATTERN = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_BROKEN_ESCAPE_PATTERN = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_JSON_TYPE_PATTERN = re.compile(r"application/(json|[\w.!#$&^+-]+\+json)", re.ASCII | re.IGNORECASE)


def init_app(app: Flask, settings: ServerSettings) -> None:
    """Identify, limit and log every request of ``app``."""
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    # No redirects are ever sent: a doubled slash is an unknown path like any other.
    app.url_map.merge_slashes = False
    metrics_port = str(settings.metrics_port)

    @app.before_request
    def identify() -> None:
        g.started_seconds = monotonic_seconds()
        g.request_id = begin(request.environ)
        on_metrics_port = request.environ.get("SERVER_PORT") == metrics_port
        if on_metrics_port and not request.path.startswith(PROBE_PREFIXES):
            raise NotFound("this port serves /metrics and /health only")

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers[REQUEST_ID] = g.request_id
        if CORRELATION_ID in request.headers:
            response.headers[CORRELATION_ID] = request.headers[CORRELATION_ID]
        response.headers.setdefault("Cache-Control", "no-store")
        log_request(
            {
                "method": request.method,
                "path": request.path,
                "route": request.url_rule.rule if request.url_rule else "unmatched",
                "remote_addr": request.remote_addr,
                "status": response.status_code,
                "bytes": response.content_length,
            },
            g.started_seconds,
            g.get("log_fields", {}),
        )
        return response


def begin(environ: WSGIEnvironment) -> str:
    """Let what this thread logs belong to a request; return its id.

    The client's own id is kept when it cannot harm a log or a header, else one is made.
    """
    given = environ.get("HTTP_X_REQUEST_ID", "")
    request_id = given if _REQUEST_ID_PATTERN.fullmatch(given) else f"req-{urandom(16).hex()}"
    trace = _TRACEPARENT_PATTERN.fullmatch(environ.get("HTTP_TRACEPARENT", ""))
    trace_id, span_id = trace.groups() if trace else (None, None)
    correlation_id = environ.get("HTTP_X_CORRELATION_ID")
    request_context.set(RequestContext(request_id, correlation_id, trace_id, span_id))
    return request_id


def log_request(
    fields: dict[str, object], started_seconds: float, further: Mapping[str, object] = MappingProxyType({})
) -> None:
    """Write the one line about a request: ``fields``, how long it took, and what the view has to add."""
    status = fields["status"]
    if isinstance(status, int) and status >= 500:  # noqa: PLR2004 - server errors
        level = logging.ERROR
    elif str(fields["path"]).startswith(PROBE_PREFIXES):
        level = logging.DEBUG
    else:
        level = logging.INFO
    duration_ms = round((monotonic_seconds() - started_seconds) * 1000, 3)
    log_lean(
        logger,
        level,
        "HTTP request",
        fields | {"duration_ms": duration_ms, **further},
        waits=level == logging.INFO,
    )


def add_to_log(fields: Mapping[str, object]) -> None:
    """Add ``fields`` to the one line that is logged about the current request."""
    g.log_fields = dict(fields)


def read_sent(resource: str, *, slug: str = "validation-error") -> Sent:
    """Return what the current request says beside its body.

    Args:
        resource: what the parameters ask for, named in the problem.
        slug: the problem that a broken encoding is.

    Raises:
        InvalidInput: on field ``query``: a broken escape, bytes that are not UTF-8, or U+0000. Lenient
            decoding would search for something else than the client wrote, and PostgreSQL has no U+0000.
    """
    fault = _query_fault(request.query_string)
    if fault is not None:
        detail = f"Validation failed for {resource}: query - {fault}"
        raise InvalidInput(detail, {"query": fault}, slug=slug, resource=resource)
    return Sent(
        texts=request.args.to_dict(flat=True),
        repeated={name: texts for name, texts in request.args.lists() if len(texts) > 1},
        accept=request.headers.get("Accept", ""),
        prefer=",".join(request.headers.getlist("Prefer")),
    )


def _query_fault(encoded: bytes) -> Fault | None:
    if _BROKEN_ESCAPE_PATTERN.search(encoded):
        return Fault("must be percent-encoded: % and two hexadecimal digits")
    decoded = unquote_to_bytes(encoded)
    if b"\0" in decoded:
        return Fault("must not contain NUL characters")
    try:
        decoded.decode("utf-8")
    except UnicodeDecodeError:
        return Fault("must be UTF-8")
    return None


def read_json_body(resource: str) -> bytes:
    """Return the bytes of the current request's JSON body.

    Raises:
        Exception: what is under ``RAISED``; the body was read already, and this came of it.
        UnsupportedMediaType: ``Content-Type`` is not JSON, or the body is compressed.
        RequestTooLarge: announced or found to be larger than ``server.max_body_bytes``.
        RequestTimeout: the client stopped sending.
        InvalidInput: the body ended early or its chunks are malformed.
    """
    if RAISED in request.environ:
        raise request.environ[RAISED]
    _check_media_type()
    announced = request.content_length
    limit = request.max_content_length
    if limit is not None and announced is not None and announced > limit:
        raise too_large(limit)
    try:
        body = request.get_data(cache=False)
        goes_on = limit is not None and len(body) >= limit and announced is None and _goes_on()
    except (OSError, ParseException, ClientDisconnected) as error:
        raise broken_off(error, resource) from error
    if announced is not None and len(body) < announced:
        raise cut_off(resource)
    if limit is not None and goes_on:
        raise too_large(limit)
    return body


def broken_off(error: Exception, resource: str) -> RequestTimeout | InvalidInput:
    """Return the error for a body whose reading ended with ``error``."""
    # Werkzeug turns what the socket says into a disconnect of the client.
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return RequestTimeout("the request body did not arrive in time")
    return cut_off(resource)


def _goes_on() -> bool:
    """Tell whether a chunked body goes on: Werkzeug stops at the limit as if the body ended there."""
    return bool(request.environ["wsgi.input"].read(1))


def _check_media_type() -> None:
    content_type = request.headers.get("Content-Type", "")
    media_type, _, parameters = content_type.partition(";")
    if media_type.strip() and not _JSON_TYPE_PATTERN.fullmatch(media_type.strip()):
        raise UnsupportedMediaType("the request body must be application/json")
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]+)", parameters, re.IGNORECASE)
    if charset and charset[1].lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType("the request body must be UTF-8")
    if request.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}:
        raise UnsupportedMediaType("the request body must not be compressed")


def too_large(limit: int) -> RequestTooLarge:
    """Return the error for a body over ``limit`` bytes."""
    return RequestTooLarge(f"the request body must be at most {limit} bytes")


def cut_off(resource: str) -> InvalidInput:
    """Return the error for a body that is shorter than announced."""
    return InvalidInput.of(
        resource, {"body": Fault("request body is not valid JSON: it ended early", "invalid_json")}
    )
