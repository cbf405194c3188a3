"""Problem documents (RFC 9457, DD-004): the only table from slug to status, and the only error handlers."""

import logging
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from datastorage.errors import DataStorageError, InvalidInput
from datastorage.platform.metrics import Metrics
from datastorage.platform.web import json
from datastorage.platform.web.contract import contract_of
from datastorage.platform.web.current import current, current_app

logger = logging.getLogger(__name__)

TYPE_PREFIX = "https://kubernaut.ai/problems/"
MEDIA_TYPE = "application/problem+json"
FORCE_CLOSE = "datastorage.force_close"
"""Key of the WSGI environ: a function that makes the server close the connection after the answer."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the registry: what a slug looks like to a client."""

    status: int
    title: str
    retry: bool = False
    closes_connection: bool = False


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
    "not-found": Kind(404, "Not Found"),
    "method-not-allowed": Kind(405, "Method Not Allowed"),
    "request-timeout": Kind(408, "Request Timeout", closes_connection=True),
    "conflict": Kind(409, "Resource Conflict"),
    "workflow-status-conflict": Kind(409, "Conflict"),
    "deadlock": Kind(409, "Deadlock Detected", retry=True),
    "transaction-conflict": Kind(409, "Transaction Conflict", retry=True),
    "request-too-large": Kind(413, "Request Entity Too Large", closes_connection=True),
    "uri-too-long": Kind(414, "URI Too Long"),
    "unsupported-media-type": Kind(415, "Unsupported Media Type", closes_connection=True),
    "too-many-exports": Kind(429, "Too Many Exports", retry=True),
    "request-header-fields-too-large": Kind(431, "Request Header Fields Too Large"),
    "internal-error": Kind(500, "Internal Server Error", retry=True),
    "service-unavailable": Kind(503, "Service Unavailable", retry=True),
    "query-timeout": Kind(504, "Query Timeout", retry=True),
}

_SLUG_OF_STATUS = {
    400: "validation-error",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-timeout",
    413: "request-too-large",
    414: "uri-too-long",
    415: "unsupported-media-type",
    431: "request-header-fields-too-large",
}


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


def init_app(app: Flask) -> None:
    """Answer every error of ``app`` with a problem document."""
    app.register_error_handler(DataStorageError, _answer_domain_error)
    app.register_error_handler(HTTPException, _answer_http_error)
    # An unexpected exception stays unhandled for Flask: it logs it once, signals it to the metrics, and
    # hands the second handler an InternalServerError. Never let it propagate into the server.
    app.config["PROPAGATE_EXCEPTIONS"] = False


def _answer_domain_error(error: DataStorageError) -> Response:
    members: dict[str, Any] = dict(error.members)
    if isinstance(error, InvalidInput):
        members["field_errors"] = {field: str(fault) for field, fault in error.field_errors.items()}
        metrics = current(Metrics)
        for field, fault in error.field_errors.items():
            metrics.count_validation_failure(field.rpartition("].")[2], fault.reason)
    response = _respond(error.slug, error.detail, title=error.title, **members)
    retry_after_seconds = getattr(error, "retry_after_seconds", None)
    if retry_after_seconds is not None:
        response.headers["Retry-After"] = str(retry_after_seconds)
    if response.status_code >= 500:  # noqa: PLR2004 - server errors
        logger.error("Request failed", exc_info=error, extra={"slug": error.slug})
    return response


def _answer_http_error(error: HTTPException) -> Response:
    slug = _SLUG_OF_STATUS.get(error.code or 500, "internal-error")
    details = {
        "not-found": f"no route for {request.path}",
        "method-not-allowed": f"{request.method} is not allowed on {request.path}",
        "request-too-large": "the request body exceeds the limit",
        "validation-error": "the request is malformed",
        "internal-error": "internal error - the log has it under this request id",
    }
    members: dict[str, Any] = {}
    if slug == "validation-error":
        members["field_errors"] = {"body": details[slug]}
    response = _respond(slug, details.get(slug, KINDS[slug].title), **members)
    # Werkzeug knows the methods of the path; only it can fill Allow.
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def _respond(slug: str, detail: str, **members: Any) -> Response:
    if slug == "internal-error":
        detail = _failure_of_view() or detail
    if slug == "request-too-large":
        current(Metrics).count_validation_failure("body", "too_large")
    problem = document(slug, detail, instance=request.path, request_id=g.request_id, **members)
    kind = KINDS[slug]
    if kind.closes_connection and FORCE_CLOSE in request.environ:
        # The rest of the body was not read; its bytes would be taken for the next request.
        request.environ[FORCE_CLOSE]()
    return Response(json.encode(problem), status=kind.status, content_type=MEDIA_TYPE)


def _failure_of_view() -> str | None:
    """Return what the view that was asked says when it fails for a reason nobody planned for."""
    view = current_app().view_functions.get(request.endpoint or "")
    return contract_of(view).failure if view else None
