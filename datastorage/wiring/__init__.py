"""The composition root: the one place where objects are constructed, filed by class, and closed.

``build_services`` is the contents page; the modules beside it construct one part each.
"""

from datetime import timedelta

from datastorage.platform.clock import Clock, utc_now
from datastorage.platform.db.database import Database, application_name
from datastorage.platform.logs import line_writers
from datastorage.platform.loop import Loop
from datastorage.platform.metrics import Metrics
from datastorage.platform.server.readiness import ShutdownFlag
from datastorage.settings import Settings
from datastorage.wiring.features import add_audit, add_incidents, add_schemas, add_workflows
from datastorage.wiring.health import add_health
from datastorage.wiring.queue import add_queue, add_replay
from datastorage.wiring.services import Services
from datastorage.wiring.tracing import add_tracing, trace_requests

__all__ = ["Services", "build_services", "trace_requests"]

PROCESS_GAUGES_INTERVAL = timedelta(seconds=15)
"""A scrape is answered by one worker; the others measure themselves this often."""

DEFERRED_METRICS_INTERVAL = timedelta(milliseconds=250)
"""How late a request is counted while another one lasts, and how often those in flight are."""


def build_services(
    settings: Settings, *, clock: Clock = utc_now, is_shutting_down: ShutdownFlag | None = None
) -> Services:
    """Construct everything one process needs. Nothing connects yet.

    Args:
        settings: the whole configuration.
        clock: the server's now; tests pass their own.
        is_shutting_down: the flag shared by all workers, one of its own when absent.
    """
    services = Services()
    services.add(services)
    metrics = add_schemas(services, settings, clock)
    services.starters.append(lambda: _write_log_from_a_thread(metrics))
    services.loops.append(Loop("deferred metrics", metrics.write_deferred, DEFERRED_METRICS_INTERVAL))
    services.closers.append(metrics.write_deferred)
    database = Database(
        settings.database,
        share=settings.database.max_open_conns // settings.server.workers,
        metrics=metrics,
        application_name=application_name(),
    )
    services.closers.append(database.close)
    services.loops.append(Loop("process gauges", metrics.update_process_gauges, PROCESS_GAUGES_INTERVAL))
    services.add(database)
    is_shutting_down = is_shutting_down or ShutdownFlag()
    add_queue(services, settings, clock)
    add_tracing(services, settings)
    add_audit(services, settings, clock)
    add_workflows(services, settings, clock)
    add_incidents(services, settings, clock, is_shutting_down)
    add_health(services, settings, is_shutting_down)
    add_replay(services, settings, clock)
    return services


def _write_log_from_a_thread(metrics: Metrics) -> None:
    for writer in line_writers():
        writer.count_dropped = lambda kind: metrics.log_lines_dropped.labels(kind).inc()
        writer.start()
