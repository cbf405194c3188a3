"""Makes spans and sends them: the provider of one process, and the thread that exports.

The official instrumentation of Flask records query strings, which hold what people search for, and ends a
streamed answer before its body; the one of SQLAlchemy does not know our version. So the spans are made
here, by hooks of a few lines each (``requests``, ``statements``, ``commands``), on the official SDK.
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
            shutdown_on_exit=False,  # close() does it, and does not wait for ever
        )
        self.tracer = self._provider.get_tracer("datastorage", __version__)

    def start(self) -> None:
        """Begin to export; after the fork, since this starts a thread."""
        exporter = OTLPSpanExporter(self._endpoint, timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))

    def close(self) -> None:
        """Send what is left, for at most a second: a collector that is gone must not hold up an exit."""
        flush = Thread(target=self._provider.shutdown, name="flush-traces", daemon=True)
        flush.start()
        flush.join(FLUSH_SECONDS)

    def waited(self, seconds: float) -> None:
        """Record that the request has just waited so long for a connection."""
        if is_recording():
            now = time.time_ns()
            span = self.tracer.start_span(
                "wait for a connection", kind=SpanKind.INTERNAL, start_time=now - round(seconds * 1e9)
            )
            span.end(now)


def traces_url(endpoint: str) -> str:
    """Return where traces go: below the address of a collector, or to the very path that is given."""
    return endpoint.rstrip("/") + TRACES_PATH if urlsplit(endpoint).path in {"", "/"} else endpoint


def is_recording() -> bool:
    """Tell whether this thread works for a request that is being traced."""
    return get_current_span().is_recording()
