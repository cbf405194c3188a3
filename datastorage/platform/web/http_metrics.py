"""Measures HTTP requests and serves ``/metrics`` (BR-STORAGE-019).

The exporter's own request metrics know the path in the duration only, and take any method a client invents
as a label value. So the exporter serves what is collected, and the door measures: it sees one beginning and
one end of each request, whatever hooks, error handlers and streamed bodies do in between.
"""

from collections.abc import Callable
from typing import Final

from flask import Flask
from prometheus_client import Counter, Histogram
from prometheus_client.values import ValueClass
from prometheus_flask_exporter import PrometheusMetrics

from datastorage.platform.access.permissions import Permission
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics import Metrics
from datastorage.platform.metrics.files import read_together
from datastorage.platform.web.operations import Operation

METRICS_PATH: Final = "/metrics"
_ENDPOINT: Final = "prometheus_metrics"
"""What the exporter calls its view."""

_Series = tuple[Counter, Histogram]
Labels = tuple[str, str, str]


class HttpMetrics(PrometheusMetrics):
    """The HTTP part of ``Metrics``, and the endpoint that shows all of them.

    Args:
        metrics: where the observations go.
        clock: seconds that never jump; when requests begin is told by it.
    """

    def __init__(self, metrics: Metrics, *, clock: Callable[[], float] = monotonic_seconds) -> None:
        super().__init__(None, path=METRICS_PATH, export_defaults=False, registry=metrics.registry)
        self._metrics = metrics
        self.clock = clock
        self._series: dict[Labels, _Series] = {}

    def init_app(self, app: Flask) -> None:
        """Let ``app`` serve ``/metrics``."""
        super().init_app(app)
        app.view_functions[_ENDPOINT] = Operation.of_flask_view(
            app.view_functions[_ENDPOINT], Permission.READ
        )

    def generate_metrics(
        self, accept_header: str | None = None, names: list[str] | None = None
    ) -> tuple[str, str]:
        """Return the exposition of all workers and its content type.

        Always in the classic text format: OpenMetrics would rename the counters in its comments, so
        ``accept_header`` is ignored. In multi-process mode ``names`` is too, because the exporter
        cannot select from files.
        """
        del accept_header
        self._metrics.update_process_gauges()
        self._metrics.write_deferred()
        selected = None if ValueClass._multiprocess else names  # noqa: SLF001 - there is no public question
        with read_together():
            exposition: tuple[str, str] = super().generate_metrics(None, selected)
        return exposition

    def begin(self) -> None:
        """Note that a request has begun."""
        self._metrics.deferred.begin()

    def observe(self, labels: Labels, started_seconds: float) -> None:
        """Measure a request whose answer is ready: method, path template and status."""
        total, duration = self._series.get(labels) or self._find_series(labels)
        total.inc()
        duration.observe(max(self.clock() - started_seconds, 0.0))
        self._metrics.deferred.answered()

    def end(self) -> None:
        """Note that a request is over."""
        self._metrics.deferred.end()

    def put_aside(self) -> None:
        """Note that a request waits for its body; it will begin again."""
        self._metrics.deferred.answered()
        self._metrics.deferred.end()

    def _find_series(self, labels: Labels) -> _Series:
        total = self._metrics.http_request.labels(*labels)
        series = self._series[labels] = (total, self._metrics.http_request_duration_seconds.labels(*labels))
        return series
