"""A collector of traces: takes OTLP over HTTP and keeps the spans."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.waiting import eventually


@dataclass(frozen=True)
class ReceivedSpan:
    """One span, ids in hexadecimal."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    is_error: bool
    attributes: dict[str, object]
    resource: dict[str, object]


class Collector:
    """What arrived so far."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.paths: set[str] = set()
        self._lock = Lock()
        self._spans: list[ReceivedSpan] = []

    def take(self, path: str, body: bytes) -> None:
        """Keep the spans of one export."""
        with self._lock:
            self.paths.add(path)
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = _attributes(group.resource.attributes)
                for scope in group.scope_spans:
                    self._spans += [_received(span, resource) for span in scope.spans]

    def trace(self, trace_id: str) -> list[ReceivedSpan]:
        """Return what arrived of one trace, in the order in which it began."""
        with self._lock:
            ours = [span for span in self._spans if span.trace_id == trace_id]
        return sorted(ours, key=lambda span: span.start_ns)

    def wait_for_trace(self, trace_id: str) -> list[ReceivedSpan]:
        """Return a trace as soon as its server span is there, which is sent last."""
        eventually(lambda: any(span.kind == Span.SPAN_KIND_SERVER for span in self.trace(trace_id)))
        return self.trace(trace_id)

    @property
    def names(self) -> set[str]:
        """The names of all spans."""
        with self._lock:
            return {span.name for span in self._spans}


def _received(span: Span, resource: dict[str, object]) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        kind=span.kind,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        is_error=span.status.code == span.status.STATUS_CODE_ERROR,
        attributes=_attributes(span.attributes),
        resource=resource,
    )


def _attributes(pairs: Iterable[Any]) -> dict[str, object]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
