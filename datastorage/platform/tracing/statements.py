"""A span for each SQL statement of a traced request: its text, never its values."""

from typing import Any

from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode, Tracer
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from datastorage.platform.tracing.telemetry import is_recording

_SPAN = "datastorage_span"
"""Attribute of the statement's context, which lives exactly as long as the statement."""


def watch_statements(engine: Engine, tracer: Tracer) -> None:
    """Make spans for the statements of ``engine``, whose text has placeholders for values."""

    @event.listens_for(engine, "before_cursor_execute")
    def begin(*details: Any) -> None:
        _connection, _cursor, statement, _parameters, context, _is_many = details
        if is_recording():
            attributes = {
                "db.system.name": "postgresql",
                "db.namespace": engine.url.database or "",
                "db.query.text": statement,
            }
            verb = statement.split(None, 1)[0]
            setattr(context, _SPAN, tracer.start_span(verb, kind=SpanKind.CLIENT, attributes=attributes))

    @event.listens_for(engine, "after_cursor_execute")
    def end(*details: Any) -> None:
        _span_of(details[4]).end()

    @event.listens_for(engine, "handle_error")
    def fail(error: ExceptionContext) -> None:
        span = _span_of(error.execution_context)
        if span.is_recording():
            # The message may quote the row; the code says what happened and nothing else.
            code = getattr(error.original_exception, "sqlstate", None)
            if code is not None:
                span.set_attribute("db.response.status_code", code)
            span.set_attribute("error.type", type(error.original_exception).__qualname__)
            span.set_status(Status(StatusCode.ERROR))
            span.end()


def _span_of(context: Any) -> Span:
    span: Span = getattr(context, _SPAN, INVALID_SPAN)
    return span
