"""One server span per request, around everything else, and until the last byte of a streamed body."""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, format_span_id, format_trace_id
from opentelemetry.trace import set_span_in_context as with_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from datastorage.platform.web.gates import is_probe
from datastorage.platform.web.requests import REQUEST_ID, ROUTE, UNMATCHED
from datastorage.platform.web.watched import Headers, WatchedAnswer

if TYPE_CHECKING:
    from contextvars import Token

_FIRST_SERVER_ERROR = 500
_TRACEPARENT, _TRACESTATE = "HTTP_TRACEPARENT", "HTTP_TRACESTATE"
_propagator = TraceContextTextMapPropagator()


def traced(application: WSGIApplication, tracer: Tracer) -> WSGIApplication:
    """Return ``application`` with a span around each request but probes and scrapes."""

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if is_probe(environ.get("PATH_INFO", "")):
            return application(environ, start_response)
        span = _begin(tracer, environ)
        return _TracedAnswer(start_response, environ, span).of(application, environ)

    return serve


def _begin(tracer: Tracer, environ: WSGIEnvironment) -> Span:
    carrier = {"traceparent": environ.get(_TRACEPARENT, ""), "tracestate": environ.get(_TRACESTATE, "")}
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
    environ[_TRACEPARENT] = f"00-{trace_id}-{span_id}-{context.trace_flags:02x}"
    return span


class _TracedAnswer(WatchedAnswer):
    """Its span is the current one of the thread until it ends."""

    __slots__ = ("_environ", "_span", "_token")

    def __init__(self, start_response: StartResponse, environ: WSGIEnvironment, span: Span) -> None:
        super().__init__(start_response)
        self._environ = environ
        self._span = span
        self._token: Token[Context] = attach(with_span(span))

    def answering(self, status: str, headers: Headers) -> None:
        """Note what is answered, and under which request id the log has the rest."""
        code = int(status[:3])
        self._span.set_attribute("http.response.status_code", code)
        for name, value in headers:
            if name == REQUEST_ID:
                self._span.set_attribute("datastorage.request_id", value)
        if code >= _FIRST_SERVER_ERROR:
            self._span.set_status(Status(StatusCode.ERROR))

    def ended(self) -> None:
        """End the span; by now it is known which route it was."""
        detach(self._token)
        route = self._environ.get(ROUTE, UNMATCHED)
        self._span.update_name(f"{self._environ['REQUEST_METHOD']} {route}")
        self._span.set_attribute("http.route", route)
        self._span.end()
