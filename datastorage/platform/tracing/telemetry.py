"""The tracer of one process, and the thread that sends its spans.

The spans are made by hooks of our own (``spans``) on the official SDK. The official instrumentations record
query strings and error texts; decision 0021 has the details.
"""

import os
import socket
import time
from threading import Thread
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import SpanKind

from datastorage import __version__
from datastorage.platform.tracing.spans import is_recording
from datastorage.settings import TelemetrySettings

FLUSH_SECONDS = 1.0
EXPORT_SECONDS = 5.0
TRACES_PATH = "/v1/traces"


class Telemetry:
    """The traces of one process; ``otlp_endpoint`` of ``settings`` is set."""

    def __init__(self, settings: TelemetrySettings) -> None:
        assert settings.otlp_endpoint is not None
        self._endpoint = traces_url(settings.otlp_endpoint)
        resource = {
            "service.name": "datastorage",
            "service.version": __version__,
            "service.instance.id": f"{socket.gethostname()}/{os.getpid()}",
        }
        self._provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(settings.sample_ratio),
            resource=Resource.create(resource),
            shutdown_on_exit=False,  # close() does it, within a second
        )
        self.tracer = self._provider.get_tracer("datastorage", __version__)

    def start(self) -> None:
        """Start the thread that exports; after the fork, never before."""
        exporter = OTLPSpanExporter(self._endpoint, timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))

    def close(self) -> None:
        """Send what is left within a second: a collector that is down must not delay the exit."""
        flush = Thread(target=self._provider.shutdown, name="flush-traces", daemon=True)
        flush.start()
        flush.join(FLUSH_SECONDS)

    def waited(self, seconds: float) -> None:
        """Record that the request has just waited for a connection."""
        if is_recording():
            now = time.time_ns()
            span = self.tracer.start_span(
                "wait for a connection", kind=SpanKind.INTERNAL, start_time=now - round(seconds * 1e9)
            )
            span.end(now)


def traces_url(endpoint: str) -> str:
    """Return ``endpoint`` with the standard path, unless it has a path already."""
    return endpoint.rstrip("/") + TRACES_PATH if urlsplit(endpoint).path in {"", "/"} else endpoint
