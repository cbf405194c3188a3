"""Makes spans and sends them: the provider of one process, and the thread that exports.

The spans are made by hooks of our own (``requests``, ``statements``, ``commands``) on the official SDK. The
official instrumentations record query strings and error texts; decision 0021 has the details.
"""

import time
from threading import Thread
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import SpanKind, get_current_span

from datastorage import __version__
from datastorage.settings import TelemetrySettings

FLUSH_SECONDS = 1.0
EXPORT_SECONDS = 5.0
TRACES_PATH = "/v1/traces"


class Telemetry:
    """The traces of one process.

    Args:
        settings: the ``telemetry`` group; ``otlp_endpoint`` is set.
        instance: which process of which pod this is.
    """

    def __init__(self, settings: TelemetrySettings, *, instance: str) -> None:
        assert settings.otlp_endpoint is not None
        self._endpoint = traces_url(settings.otlp_endpoint)
        resource = {
            "service.name": "datastorage",
            "service.version": __version__,
            "service.instance.id": instance,
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


def is_recording() -> bool:
    """Tell whether this thread works for a traced request."""
    return get_current_span().is_recording()
