"""One server span per request, around everything else, and until the last byte of a streamed body."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import TracebackType
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from opentelemetry.context import attach, detach
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, format_span_id, format_trace_id
from opentelemetry.trace import set_span_in_context as with_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from werkzeug.wsgi import ClosingIterator

from datastorage.platform.web.gates import is_probe
from datastorage.platform.web.problems import FIRST_SERVER_ERROR
from datastorage.platform.web.requests import REQUEST_ID, ROUTE, UNMATCHED

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

_TRACEPARENT, _TRACESTATE = "HTTP_TRACEPARENT", "HTTP_TRACESTATE"
_propagator = TraceContextTextMapPropagator()


def traced(application: WSGIApplication, tracer: Tracer) -> WSGIApplication:
    """Return ``application`` with a span around each request but probes and scrapes."""

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if is_probe(environ.get("PATH_INFO", "")):
            return application(environ, start_response)
        span = _begin(tracer, environ)

        def start(
            status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
        ) -> Callable[[bytes], object]:
            _note_answer(span, status, headers)
            return start_response(status, headers, exc_info)

        with ExitStack() as ending:
            ending.callback(_end, span, environ)
            ending.callback(detach, attach(with_span(span)))
            body = application(environ, start)
            return ClosingIterator(body, ending.pop_all().close)

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


def _note_answer(span: Span, status: str, headers: list[tuple[str, str]]) -> None:
    """Note the status, and the request id under which the log has the rest."""
    code = int(status[:3])
    span.set_attribute("http.response.status_code", code)
    for name, value in headers:
        if name == REQUEST_ID:
            span.set_attribute("datastorage.request_id", value)
    if code >= FIRST_SERVER_ERROR:
        span.set_status(Status(StatusCode.ERROR))


def _end(span: Span, environ: WSGIEnvironment) -> None:
    route = environ.get(ROUTE, UNMATCHED)  # not known before the request was routed
    span.update_name(f"{environ['REQUEST_METHOD']} {route}")
    span.set_attribute("http.route", route)
    span.end()
