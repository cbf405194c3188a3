"""Measures every HTTP request and serves ``/metrics`` (BR-STORAGE-019).

The exporter's own request metrics know the path in the duration only, and take any method a client
invents as a label value. So the exporter serves what is collected, and the measuring is done here, as
WSGI middleware: the outermost place sees one beginning and one end of each request, whatever hooks,
error handlers and streamed bodies do in between.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, got_request_exception, request, request_started
from prometheus_client import Counter, Histogram
from prometheus_client.values import ValueClass
from prometheus_flask_exporter import PrometheusMetrics

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics import Metrics
from datastorage.platform.web.watched import Headers, WatchedAnswer

METRICS_PATH: Final = "/metrics"
HEALTH_PATH: Final = "/health"
UNMATCHED: Final = "unmatched"
OTHER_METHOD: Final = "OTHER"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

BEGUN: Final = "datastorage.begun"
"""Key of the WSGI environ: when a request began that is measured already."""
_EXCLUDED: Final = (METRICS_PATH, HEALTH_PATH)
_PATH_KEY: Final = "datastorage.path_template"
_BODILESS: Final = frozenset({"204", "304"})
_VARIABLE = re.compile(r"<[^>]+>")
_Series = tuple[Counter, Histogram]
Labels = tuple[str, str, str]


class HttpMetrics(PrometheusMetrics):  # type: ignore[misc] # the exporter has no annotations
    """The HTTP part of ``Metrics``: ``init_app`` adds the measuring and the metrics endpoint to an app.

    Health and metrics requests are not measured. Call ``init_app`` after any other middleware was put
    around ``app.wsgi_app``, so that its time counts as well. An exception is unhandled, and counted,
    when Flask says so by its signal ``got_request_exception``: an app with an error handler for
    ``Exception`` itself hides them all; one for ``InternalServerError`` does not.

    Args:
        metrics: where the observations go.
        clock: seconds that never jump.
    """

    def __init__(self, metrics: Metrics, *, clock: Callable[[], float] = monotonic_seconds) -> None:
        super().__init__(None, path=METRICS_PATH, export_defaults=False, registry=metrics.registry)
        self._metrics = metrics
        self._clock = clock
        self._series: dict[Labels, _Series] = {}

    def init_app(self, app: Flask) -> None:
        """Measure the requests of ``app`` and let it serve ``/metrics``."""
        super().init_app(app)
        request_started.connect(_note_path, app)
        got_request_exception.connect(self.count_exception, app)
        app.wsgi_app = self._measuring(app.wsgi_app)  # type: ignore[assignment] # Flask's way to add middleware

    def count_exception(self, sender: Flask, **details: Any) -> None:
        """Count an unhandled exception of the current request; receives Flask's signal."""
        del sender, details
        if not is_excluded(request.path):
            self._metrics.http_request_exceptions.labels(*_labels(request.environ)).inc()

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
        exposition: tuple[str, str] = super().generate_metrics(None, selected)
        return exposition

    def _measuring(self, application: WSGIApplication) -> WSGIApplication:
        def measured(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            if is_excluded(environ.get("PATH_INFO", "")):
                return application(environ, start_response)
            return _MeasuredAnswer(start_response, environ, self).of(application, environ)

        return measured

    def begin(self) -> float:
        """Note that a request has begun, and return when."""
        self._metrics.deferred.begin()
        return self._clock()

    def observe(self, labels: Labels, begun: float) -> None:
        """Measure a request whose answer is ready: method, path template and status."""
        total, duration = self._series.get(labels) or self._find_series(labels)
        total.inc()
        duration.observe(max(self._clock() - begun, 0.0))
        self._metrics.deferred.answered()

    def end(self) -> None:
        """Note that a request is over."""
        self._metrics.deferred.end()

    def _find_series(self, labels: Labels) -> _Series:
        total = self._metrics.http_request.labels(*labels)
        series = self._series[labels] = (total, self._metrics.http_request_duration_seconds.labels(*labels))
        return series


class _MeasuredAnswer(WatchedAnswer):
    """Observed once, and one less in flight at its end."""

    __slots__ = ("_begun", "_environ", "_is_observed", "_metrics", "_status")

    def __init__(self, start_response: StartResponse, environ: WSGIEnvironment, metrics: HttpMetrics) -> None:
        super().__init__(start_response)
        self._environ = environ
        self._metrics = metrics
        self._status = "500"  # what the server sends when the application raises instead of answering
        self._is_observed = False
        self._begun: float = environ[BEGUN] if BEGUN in environ else metrics.begin()

    def answering(self, status: str, headers: Headers) -> None:
        """Observe an answer whose length is known: nothing is left to compute.

        Doing so before the first byte is sent means that a client which has its answer finds it in
        the next scrape. The time a slow reader takes is not the service's.
        """
        self._status = status[:3]
        if self._status in _BODILESS or _has_length(headers):
            self._observe_once()

    def ended(self) -> None:
        """Observe what was streamed, and leave."""
        self._observe_once()
        self._metrics.end()

    def _observe_once(self) -> None:
        if not self._is_observed:
            self._is_observed = True
            self._metrics.observe((*_labels(self._environ), self._status), self._begun)


def _has_length(headers: Headers) -> bool:
    for name, _ in headers:  # noqa: SIM110 - at every answer: a generator would cost more than it does
        if name == "Content-Length" or name.lower() == "content-length":
            return True
    return False


def is_excluded(path: str) -> bool:
    """Tell whether ``path`` is that of a probe or a scrape, which nobody wants to see measured."""
    return path.startswith(_EXCLUDED) and (path in _EXCLUDED or path.startswith(HEALTH_PATH + "/"))


def _note_path(sender: Flask) -> None:
    """Keep the route where it outlives the request context, which ends before a streamed body does."""
    del sender
    rule = request.url_rule
    note_rule(request.environ, None if rule is None else rule.rule)


def note_rule(environ: WSGIEnvironment, rule: str | None) -> None:
    """Keep the rule by which a request was routed, for its metrics."""
    environ[_PATH_KEY] = UNMATCHED if rule is None else _template(rule)


def _labels(environ: WSGIEnvironment) -> tuple[str, str]:
    method = environ["REQUEST_METHOD"]
    return method if method in METHODS else OTHER_METHOD, path_template(environ)


def path_template(environ: WSGIEnvironment) -> str:
    """Return the path of a request with its variables named, as its metrics call it."""
    found: str = environ.get(_PATH_KEY, UNMATCHED)
    return found


@lru_cache(maxsize=1024)
def _template(rule: str) -> str:
    return _VARIABLE.sub(":id", rule)
