"""The way of every request: through the gates, into its operation, and out with one line in the log.

The door stands in front of Flask and is the only entrance. ``run`` carries out what the gates admit: straight
from the door, which is the quick entry, or from Flask, when the application has hooks that must see requests
(CORS brings some) and for the views of packages. Either way the same function reads, acts and answers, and
``problems.reply_to`` turns every error into a problem document. See docs/architecture.md.
"""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

import flask
from flask import Flask, Response

from datastorage.errors import DataStorageError
from datastorage.platform.access.control import AccessControl
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.quotas import Quotas
from datastorage.platform.access.sessions import Sessions
from datastorage.platform.logs import log_lean
from datastorage.platform.metrics import Metrics
from datastorage.platform.web.audited_reads import AuditedReads
from datastorage.platform.web.current import EXTENSION, services_of_request
from datastorage.platform.web.gates import (
    ADMISSION,
    Admission,
    BodyAwaited,
    Grounds,
    admit,
    body_limit,
    is_probe,
    request_of,
)
from datastorage.platform.web.html import page_headers
from datastorage.platform.web.http_metrics import HttpMetrics
from datastorage.platform.web.media_types import FORM
from datastorage.platform.web.problems import FIRST_SERVER_ERROR, as_problem, reply_to
from datastorage.platform.web.replies import Headers, Reply, Streamed
from datastorage.platform.web.requests import CORRELATION_ID, REQUEST_ID, Request
from datastorage.platform.web.routing import Endpoint, Routes
from datastorage.settings import ServerSettings

logger = logging.getLogger("datastorage.access")

_AUDIT: Final = "/api/v1/audit"
_REDIRECTS: Final = 300


def run(admission: Admission, grounds: Grounds) -> Reply:
    """Carry out what was admitted: read, act, answer.

    Raises:
        Exception: what went wrong; ``problems.reply_to`` knows its answer.
    """
    request, endpoint = admission.request, admission.endpoint
    if request.method == "OPTIONS":
        methods = grounds.routes.methods_of(request.path)
        return Reply(200, [("Allow", ", ".join(methods)), ("Content-Length", "0")])
    arguments = _read(request, endpoint, grounds)
    outcome = endpoint.operation.act(*arguments)
    answer = endpoint.answer_of[type(outcome)]
    if answer.log is not None:
        request.log_fields = answer.log(outcome)
    if answer.rows is not None:
        request.rows = answer.rows(outcome)
    return answer.reply(outcome)


def _read(request: Request, endpoint: Endpoint, grounds: Grounds) -> list[Any]:
    """Return the arguments of the view: the caller, and what is in the path, the query and the body."""
    arguments: list[Any] = [request.caller] if endpoint.operation.wants_caller else []
    if endpoint.operation.wants_request:
        arguments.append(request)
    if endpoint.path is not None:
        arguments.append(endpoint.path.read(request.variables))
    if (query := endpoint.query) is not None:
        arguments.append(query.read(request.sent(query.resource, slug=query.encoding_slug)))
    if (body := endpoint.body) is not None:
        data = body.decode(request.read_body(body_limit(endpoint, grounds), body.resource))
        if endpoint.body_type is FORM:
            request.form = data
            grounds.sessions.check_form(request.environ, data)
        arguments.append(body.read(data))
    return arguments


class Door:
    """The WSGI application in front of Flask.

    Args:
        app: its blueprints are all registered, and its services filed.
        settings: the metrics port, and the largest body.
        metrics: measures every request but probes and scrapes.

    Raises:
        RouteError: a route does not say who may call it, or lacks a reader.
    """

    def __init__(self, app: Flask, settings: ServerSettings, metrics: HttpMetrics) -> None:
        self._app = app
        self._services: dict[type, Any] = app.extensions[EXTENSION]
        routes = self._services[Routes] = Routes(app, self._services)
        self._services[Metrics].know_fields(routes.field_names)
        self._grounds = Grounds(
            routes=routes,
            metrics_port=str(settings.metrics_port),
            max_body_bytes=settings.max_body_bytes,
            access=self._services[AccessControl],
            quotas=self._services[Quotas],
            sessions=self._services[Sessions],
        )
        self._services[Grounds] = self._grounds
        self._metrics = metrics
        self._audited_reads: AuditedReads = self._services[AuditedReads]
        # No redirects are ever sent: a doubled slash is an unknown path like any other.
        app.url_map.merge_slashes = False
        app.register_error_handler(Exception, self._problem_in_flask)
        app.view_functions = dict.fromkeys(app.view_functions, self._run_in_flask)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; ``BodyAwaited`` passes through here when its body has yet to arrive."""
        services_of_request.set(self._services)
        metrics = self._metrics
        request = request_of(environ, metrics.clock())
        if is_probe(request.path):
            reply = self._answer(request)
            log_request(request, reply, metrics.clock() - request.started_seconds)
            return self._send(request, reply, start_response, [])
        metrics.begin()
        try:
            reply = self._answer(request)
        except BodyAwaited:
            metrics.put_aside()
            raise
        self._audited_reads.note(request, reply)
        labels = (*request.labels, str(reply.status))
        log_request(request, reply, metrics.clock() - request.started_seconds)
        observe = partial(metrics.observe, labels, request.started_seconds)
        if reply.length is None:
            return self._send(request, reply, start_response, [observe, metrics.end])
        # Before the first byte: a client that has its answer finds it in the next scrape. The time that a
        # slow reader takes is not the service's.
        observe()
        return self._send(request, reply, start_response, [metrics.end])

    def _answer(self, request: Request) -> Reply:
        try:
            return self._carry_out(request)
        except Exception as error:  # noqa: BLE001 - the last handler: it logs what nobody expected, and answers
            return reply_to(error, request)

    def _carry_out(self, request: Request) -> Reply:
        try:
            admission = admit(request, self._grounds)
        except DataStorageError as refusal:
            return self._shown_to_hooks(request, reply_to(refusal, request))
        if request.method == "OPTIONS":
            return self._shown_to_hooks(request, run(admission, self._grounds))
        if admission.endpoint.operation.is_flask_view or self._has_hooks:
            return self._through_flask(admission)
        return run(admission, self._grounds)

    @property
    def _has_hooks(self) -> bool:
        """Whether the application has hooks, which see every request by the way through Flask."""
        app = self._app
        return bool(
            app.before_request_funcs
            or app.after_request_funcs
            or app.teardown_request_funcs
            or app.teardown_appcontext_funcs
            or app.url_value_preprocessors
        )

    def _through_flask(self, admission: Admission) -> Reply:
        environ = admission.request.environ
        environ[ADMISSION] = admission
        with self._app.request_context(environ):
            reply = Reply.of_response(self._app.full_dispatch_request(), environ)
        return as_problem(reply, admission.request)

    def _shown_to_hooks(self, request: Request, reply: Reply) -> Reply:
        """Let hooks add to an answer that is none of a view: CORS has headers for refusals as well."""
        if not self._has_hooks:
            return reply
        with self._app.request_context(request.environ):
            response = self._app.process_response(reply.as_response())
            return Reply.of_response(response, request.environ)

    def _run_in_flask(self, **variables: Any) -> Any:
        """Answer a request that Flask dispatches, with the endpoint that the gates found."""
        admission = _admission_in_flask()
        operation = admission.endpoint.operation
        if operation.is_flask_view:
            return operation.act(**variables)
        return run(admission, self._grounds).as_response()

    def _problem_in_flask(self, error: Exception) -> Response:
        return reply_to(error, _admission_in_flask().request).as_response()

    def _send(
        self, request: Request, reply: Reply, start_response: StartResponse, ends: list[Callable[[], None]]
    ) -> Iterable[bytes]:
        """Begin to send; ``ends`` are called when it is over."""
        if reply.is_page:
            is_encrypted = self._grounds.sessions.is_encrypted(request.environ)
            reply.headers += page_headers(reply.headers, is_encrypted=is_encrypted)
        start_response(reply.status_line, _complete(request, reply))
        body, is_sent = reply.body, request.method != "HEAD"
        if isinstance(body, bytes):
            for end in ends:
                end()
            return [body] if is_sent else []
        return Streamed(body, ends, is_sent=is_sent)


def _complete(request: Request, reply: Reply) -> Headers:
    """Return the headers with those that every answer has."""
    headers, environ = reply.headers, request.environ
    headers += ((REQUEST_ID, request.request_id), ("Cache-Control", _cache_control(request, reply)))
    if "HTTP_X_CORRELATION_ID" in environ:
        headers.append((CORRELATION_ID, environ["HTTP_X_CORRELATION_ID"]))
    headers += request.added
    if request.quota is not None and not _is_audit_write(request, reply):
        headers += request.quota.headers
    if request.endpoint is not None and request.endpoint.operation.successor is not None:
        headers.append(("Deprecation", "true"))
        headers.append(("Link", f'<{request.endpoint.operation.successor}>; rel="successor-version"'))
    return headers


def _cache_control(request: Request, reply: Reply) -> str:
    """Return who may keep the answer: what needed an identity is nobody else's."""
    is_known = request.caller is not None and request.caller.identity.mode != "none"
    return reply.cache_control.replace("public", "private") if is_known else reply.cache_control


def _is_audit_write(request: Request, reply: Reply) -> bool:
    """Tell whether an event was taken: the answer of such is as small as it was before there were limits."""
    is_audit = request.permission is Permission.WRITE and request.path.startswith(_AUDIT)
    return is_audit and reply.status < _REDIRECTS


def log_request(request: Request, reply: Reply, seconds: float) -> None:
    """Write the one line about a request."""
    if reply.status >= FIRST_SERVER_ERROR:
        level = logging.ERROR
    else:
        level = logging.DEBUG if is_probe(request.path) else logging.INFO
    fields: dict[str, object] = {
        "method": request.method,
        "path": request.path,
        "route": request.rule,
        "remote_addr": request.environ.get("REMOTE_ADDR"),
        "user": request.caller.identity.name if request.caller is not None else None,
        "status": reply.status,
        "bytes": reply.length,
        "duration_ms": round(seconds * 1000, 3),
        **request.log_fields,
    }
    log_lean(logger, level, "HTTP request", fields)


def _admission_in_flask() -> Admission:
    """Return what the gates said about the request that Flask dispatches.

    Raises:
        KeyError: it never passed them.
    """
    admission: Admission = flask.request.environ[ADMISSION]
    return admission
