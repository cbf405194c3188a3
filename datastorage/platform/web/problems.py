"""Problem documents (RFC 9457, DD-004): the only table from slug to status, and from error to answer.

Under the pages for people a problem is shown as one.
"""

import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from werkzeug.exceptions import HTTPException

from datastorage.errors import DataStorageError, InvalidInput, MethodNotAllowed, Overloaded
from datastorage.platform.access.errors import AccessRefused, RateLimited, Unauthorized
from datastorage.platform.logs.sparing import SparingWarnings
from datastorage.platform.metrics import Metrics
from datastorage.platform.web import json
from datastorage.platform.web.current import current
from datastorage.platform.web.html import ErrorPages, is_page
from datastorage.platform.web.refusals import Refusals
from datastorage.platform.web.replies import Headers, Reply
from datastorage.platform.web.requests import Request

logger = logging.getLogger(__name__)
overload_warnings: Final = SparingWarnings(logger)

TYPE_PREFIX = "https://kubernaut.ai/problems/"
MEDIA_TYPE = "application/problem+json"
INTERNAL_ERROR: Final = "internal error - the log has it under this request id"
FIRST_SERVER_ERROR: Final = 500
CHALLENGE: Final = 'Bearer realm="datastorage"'
BAD_TOKEN: Final = ', error="invalid_token"'  # noqa: S105 - a parameter of the challenge


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the registry: what a slug looks like to a client."""

    status: int
    title: str
    retry: bool = False


KINDS: dict[str, Kind] = {
    "validation-error": Kind(400, "Validation Error"),
    "batch-size-exceeded": Kind(400, "Batch Size Exceeded"),
    "invalid-limit": Kind(400, "Invalid Limit"),
    "invalid-offset": Kind(400, "Invalid Offset"),
    "invalid-severity": Kind(400, "Invalid Severity"),
    "invalid-status": Kind(400, "Invalid Status"),
    "invalid-time-range": Kind(400, "Invalid Time Range"),
    "invalid-cursor": Kind(400, "Invalid Cursor"),
    "invalid-parameter": Kind(400, "Invalid Parameter"),
    "missing-parameter": Kind(400, "Missing Parameter"),
    "invalid-id": Kind(400, "Invalid ID"),
    "immutable-field-violation": Kind(400, "Bad Request"),
    "invalid-request-body": Kind(400, "Invalid Request Body"),
    "missing-correlation-id": Kind(400, "Missing Required Field"),
    "invalid-correlation-id": Kind(400, "Invalid Correlation ID"),
    "unauthorized": Kind(401, "Unauthorized"),
    "forbidden": Kind(403, "Forbidden"),
    "csrf-failed": Kind(403, "Cross-Site Request Refused"),
    "not-found": Kind(404, "Not Found"),
    "method-not-allowed": Kind(405, "Method Not Allowed"),
    "request-timeout": Kind(408, "Request Timeout"),
    "conflict": Kind(409, "Resource Conflict"),
    "ledger/not-sealed": Kind(409, "Event Not Sealed"),
    "ledger/beyond-end": Kind(409, "Position Beyond The Ledger"),
    "workflow-status-conflict": Kind(409, "Conflict"),
    "deadlock": Kind(409, "Deadlock Detected", retry=True),
    "transaction-conflict": Kind(409, "Transaction Conflict", retry=True),
    "ledger/feed-gone": Kind(410, "Feed Position Gone"),
    "request-too-large": Kind(413, "Request Entity Too Large"),
    "uri-too-long": Kind(414, "URI Too Long"),
    "unsupported-media-type": Kind(415, "Unsupported Media Type"),
    "too-many-exports": Kind(429, "Too Many Exports", retry=True),
    "rate-limit-exceeded": Kind(429, "Rate Limit Exceeded", retry=True),
    "request-header-fields-too-large": Kind(431, "Request Header Fields Too Large"),
    "auth-unavailable": Kind(503, "Authentication Unavailable", retry=True),
    "ledger/unsigned": Kind(503, "Ledger Has No Signature", retry=True),
    "followers-busy": Kind(503, "Too Many Followers", retry=True),
    "internal-error": Kind(500, "Internal Server Error", retry=True),
    "overloaded": Kind(503, "Service Overloaded", retry=True),
    "service-unavailable": Kind(503, "Service Unavailable", retry=True),
    "query-timeout": Kind(504, "Query Timeout", retry=True),
    "http-error": Kind(500, "Error"),
}

_SLUG_OF_STATUS = {
    400: "validation-error",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-timeout",
    413: "request-too-large",
    414: "uri-too-long",
    415: "unsupported-media-type",
    429: "rate-limit-exceeded",
    431: "request-header-fields-too-large",
    500: "internal-error",
    503: "service-unavailable",
}
"""Of statuses that an extension of Flask, or Flask itself, may raise; any other one is ``http-error``."""

HTTP_ERROR: Final = "http-error"
_KEPT_HEADERS: Final = frozenset({"Allow", "Retry-After", "Www-Authenticate"})


def document(slug: str, detail: str, *, instance: str, request_id: str, **members: Any) -> dict[str, Any]:
    """Return the members of a problem document; ``members`` with value None are left out."""
    kind = KINDS[slug]
    title = members.pop("title", None) or kind.title
    problem: dict[str, Any] = {
        "type": TYPE_PREFIX + slug,
        "title": title,
        "status": kind.status,
        "detail": detail,
        "instance": instance,
        "request_id": request_id,
    }
    problem |= {name: value for name, value in members.items() if value is not None}
    if kind.retry:
        problem["retry"] = True
    return problem


def reply_to(error: Exception, request: Request) -> Reply:
    """Return the answer for what went wrong; log what the client cannot mend, count what it can."""
    if isinstance(error, DataStorageError):
        return _reply_to_domain_error(error, request)
    if isinstance(error, HTTPException):
        return _reply_to_http_error(error, request)
    logger.error("Request failed", exc_info=error, extra={"slug": "internal-error"})
    current(Metrics).http_request_exceptions.labels(*request.labels).inc()
    return _reply("internal-error", INTERNAL_ERROR, request)


def _reply_to_domain_error(error: DataStorageError, request: Request) -> Reply:
    members: dict[str, Any] = dict(error.members)
    if isinstance(error, InvalidInput):
        members["field_errors"] = {field: str(fault) for field, fault in error.field_errors.items()}
        metrics = current(Metrics)
        for field, fault in error.field_errors.items():
            metrics.count_validation_failure(field.rpartition("].")[2], fault.reason)
    if isinstance(error, RateLimited) and error.status is not None:
        members["status"] = error.status
    reply = _reply(error.slug, error.detail, request, title=error.title, **members)
    reply.headers += _headers_of(error)
    if isinstance(error, AccessRefused):
        current(Refusals).note(error, request, reply.status)
    elif isinstance(error, Overloaded):
        _report_overload(error, request, reply.status)
    elif reply.status >= FIRST_SERVER_ERROR and error.is_fault:
        logger.error("Request failed", exc_info=error, extra={"slug": error.slug})
    return reply


def _headers_of(error: DataStorageError) -> Headers:
    """Return what belongs to a kind of error: when to come again, with which method or credentials."""
    headers: Headers = []
    retry_after_seconds = getattr(error, "retry_after_seconds", None)
    if retry_after_seconds is not None:
        headers.append(("Retry-After", str(retry_after_seconds)))
    if isinstance(error, MethodNotAllowed):
        headers.append(("Allow", ", ".join(error.allowed)))
    if isinstance(error, Unauthorized):
        headers.append(("WWW-Authenticate", CHALLENGE + BAD_TOKEN * error.is_bad_token))
    if isinstance(error, RateLimited):
        headers += error.quota.headers
    return headers


def _report_overload(error: Overloaded, request: Request, status: int) -> None:
    """Count a refusal, and warn about some: a line with a stack for each would add to the load."""
    current(Metrics).overload_refusals.labels(error.reason).inc()
    method, route = request.labels
    remote = request.environ.get("REMOTE_ADDR")
    overload_warnings.warn(
        "Overload refusal", reason=error.reason, status=status, method=method, route=route, remote_addr=remote
    )


def _reply_to_http_error(error: HTTPException, request: Request) -> Reply:
    response = error.get_response(request.environ)
    if response.status_code >= FIRST_SERVER_ERROR:
        logger.error("Request failed", exc_info=error, extra={"slug": _slug_of(response.status_code)})
    return as_problem(Reply.of_response(response, request.environ), request)


def as_problem(reply: Reply, request: Request) -> Reply:
    """Return an answer that Flask or an extension made; errors keep their number and become problems."""
    if reply.status < HTTPStatus.BAD_REQUEST or ("Content-Type", MEDIA_TYPE) in reply.headers:
        return reply
    if reply.is_page and is_page(request.path):
        return reply
    slug = _slug_of(reply.status)
    phrase = HTTPStatus(reply.status).phrase if reply.status in _STATUSES else "Unknown Error"
    details = {
        "not-found": f"no route for {request.path}",
        "method-not-allowed": f"{request.method} is not allowed on {request.path}",
        "request-too-large": "the request body exceeds the limit",
        "validation-error": "the request is malformed",
        "internal-error": INTERNAL_ERROR,
        HTTP_ERROR: phrase,
    }
    detail = details.get(slug, KINDS[slug].title)
    members: dict[str, Any] = {"field_errors": {"body": detail}} if slug == "validation-error" else {}
    if slug == HTTP_ERROR:
        is_repeatable = reply.status >= FIRST_SERVER_ERROR or None
        members |= {"title": phrase, "status": reply.status, "retry": is_repeatable}
    problem = _reply(slug, detail, request, **members)
    # Only the raiser knows the methods of a path, the scheme of a credential, the time to wait.
    problem.headers.extend(header for header in reply.headers if header[0].title() in _KEPT_HEADERS)
    return problem


def _slug_of(status: int) -> str:
    return _SLUG_OF_STATUS.get(status, HTTP_ERROR)


_STATUSES: Final = frozenset(HTTPStatus)


def _reply(slug: str, detail: str, request: Request, **members: Any) -> Reply:
    if slug == "internal-error" and request.endpoint is not None:
        detail = request.endpoint.operation.failure or detail
    if slug == "request-too-large":
        current(Metrics).count_validation_failure("body", "too_large")
    problem = document(slug, detail, instance=request.path, request_id=request.request_id, **members)
    if is_page(request.path):
        return current(ErrorPages).show(problem, request)
    return Reply.of_bytes(problem["status"], MEDIA_TYPE, json.encode(problem))
