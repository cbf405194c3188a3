"""Spans of a request, and of the SQL statements and Redis commands in it; never a value or an argument."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import wraps
from types import TracebackType
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import redis
from opentelemetry.context import attach, detach
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    format_span_id,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from werkzeug.wsgi import ClosingIterator

from datastorage.platform.web.gates import is_probe
from datastorage.platform.web.problems import FIRST_SERVER_ERROR
from datastorage.platform.web.requests import REQUEST_ID, ROUTE, UNMATCHED

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

_STATEMENT_SPAN = "datastorage_span"
"""Attribute of the statement's context, which lives exactly as long as the statement."""
_propagator = TraceContextTextMapPropagator()


def is_recording() -> bool:
    """Tell whether this thread works for a traced request."""
    return get_current_span().is_recording()


def trace_requests(application: WSGIApplication, tracer: Tracer) -> WSGIApplication:
    """Return ``application`` with a span around each request but probes, until its last byte is sent."""

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if is_probe(environ.get("PATH_INFO", "")):
            return application(environ, start_response)
        span = _begin_request(tracer, environ)

        def start(
            status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
        ) -> Callable[[bytes], object]:
            _note_answer(span, status, headers)
            return start_response(status, headers, exc_info)

        with ExitStack() as ending:
            ending.callback(_end_request, span, environ)
            ending.callback(detach, attach(set_span_in_context(span)))
            body = application(environ, start)
            return ClosingIterator(body, ending.pop_all().close)

    return serve


def _begin_request(tracer: Tracer, environ: WSGIEnvironment) -> Span:
    carrier = {
        "traceparent": environ.get("HTTP_TRACEPARENT", ""),
        "tracestate": environ.get("HTTP_TRACESTATE", ""),
    }
    method = environ["REQUEST_METHOD"]
    span = tracer.start_span(
        method,
        context=_propagator.extract(carrier),
        kind=SpanKind.SERVER,
        attributes={
            "http.request.method": method,
            "url.scheme": environ["wsgi.url_scheme"],
            "url.path": environ.get("PATH_INFO", ""),
        },
    )
    # The log takes its trace from this header: its lines then name our span and not the caller's.
    context = span.get_span_context()
    trace_id, span_id = format_trace_id(context.trace_id), format_span_id(context.span_id)
    environ["HTTP_TRACEPARENT"] = f"00-{trace_id}-{span_id}-{context.trace_flags:02x}"
    return span


def _note_answer(span: Span, status: str, headers: list[tuple[str, str]]) -> None:
    """Note the status, and the request id under which the log has the rest."""
    code = int(status[:3])
    span.set_attribute("http.response.status_code", code)
    for name, value in headers:
        if name == REQUEST_ID:
            span.set_attribute("datastorage.request_id", value)
    if code >= FIRST_SERVER_ERROR:
        span.set_status(Status(StatusCode.ERROR))


def _end_request(span: Span, environ: WSGIEnvironment) -> None:
    route = environ.get(ROUTE, UNMATCHED)  # not known before the request was routed
    span.update_name(f"{environ['REQUEST_METHOD']} {route}")
    span.set_attribute("http.route", route)
    span.end()


def trace_statements(engine: Engine, tracer: Tracer) -> None:
    """Make spans for the statements of ``engine``, whose text has placeholders for values."""

    @event.listens_for(engine, "before_cursor_execute")
    def begin(*details: Any) -> None:
        _connection, _cursor, statement, _parameters, context, _is_many = details
        if is_recording():
            database = {"db.system.name": "postgresql", "db.namespace": engine.url.database or ""}
            attributes = database | {"db.query.text": statement}
            verb = statement.split(None, 1)[0]
            span = tracer.start_span(verb, kind=SpanKind.CLIENT, attributes=attributes)
            setattr(context, _STATEMENT_SPAN, span)

    @event.listens_for(engine, "after_cursor_execute")
    def end(*details: Any) -> None:
        _statement_span(details[4]).end()

    @event.listens_for(engine, "handle_error")
    def fail(error: ExceptionContext) -> None:
        span = _statement_span(error.execution_context)
        if span.is_recording():
            # The message may quote the row; the code says what happened and nothing else.
            code = getattr(error.original_exception, "sqlstate", None)
            if code is not None:
                span.set_attribute("db.response.status_code", code)
            span.set_attribute("error.type", type(error.original_exception).__qualname__)
            span.set_status(Status(StatusCode.ERROR))
            span.end()


def _statement_span(context: Any) -> Span:
    span: Span = getattr(context, _STATEMENT_SPAN, INVALID_SPAN)
    return span


def trace_commands(client: redis.Redis, tracer: Tracer) -> None:
    """Make spans for the commands of ``client`` and of its pipelines."""
    make_pipeline = client.pipeline

    @wraps(make_pipeline)
    def pipeline(*arguments: Any, **options: Any) -> Any:
        made = make_pipeline(*arguments, **options)
        _replace(made, "execute", _traced(tracer, lambda *_: _names(made.command_stack), made.execute))
        return made

    _replace(client, "pipeline", pipeline)
    execute = client.execute_command
    _replace(client, "execute_command", _traced(tracer, lambda *command: str(command[0]), execute))


def _replace(instance: object, method: str, by: Callable[..., Any]) -> None:
    """Change one object and not its class: other clients in this process are left alone."""
    setattr(instance, method, by)


def _names(commands: Iterable[tuple[tuple[Any, ...], Any]]) -> str:
    return " ".join(str(arguments[0]) for arguments, _options in commands)


def _traced(tracer: Tracer, name: Callable[..., str], execute: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(execute)
    def traced(*arguments: Any, **options: Any) -> Any:
        if not is_recording():
            return execute(*arguments, **options)
        operation = name(*arguments)
        attributes = {"db.system.name": "redis", "db.operation.name": operation}
        with tracer.start_as_current_span(
            operation, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False
        ):
            return execute(*arguments, **options)

    return traced
