"""The composition root: the one place where objects are constructed, filed by class, and closed.

``build_services`` is the contents page; ``features`` constructs one feature in each function.
"""

from datetime import timedelta
from pkgutil import resolve_name

from datastorage.console import error_pages
from datastorage.platform.access.files import AccessFiles
from datastorage.platform.clock import Clock, utc_now
from datastorage.platform.db.database import Database, application_name
from datastorage.platform.logs import line_writers
from datastorage.platform.loop import Loop
from datastorage.platform.metrics import UNKNOWN, Metrics
from datastorage.platform.server.shared import SharedFlag
from datastorage.platform.server.tls import LOOK_INTERVAL, ServerTls
from datastorage.platform.web.html import ErrorPages
from datastorage.settings import Settings, environment
from datastorage.wiring import features
from datastorage.wiring.access import add_access
from datastorage.wiring.ledger import LedgerParts, add_ledger
from datastorage.wiring.services import Services

__all__ = ["LedgerParts", "Services", "build_services"]

PROCESS_GAUGES_INTERVAL = timedelta(seconds=15)
"""The worker that answers a scrape measures itself then; the others do so this often."""

DEFERRED_METRICS_INTERVAL = timedelta(milliseconds=250)
"""How late a request is counted while another one lasts, and how often requests in flight are."""

LEAST_SHARE_WITH_RESERVE = 4
"""Reads may hold all connections of a worker that has fewer: one of three would be too many to keep back."""


def build_services(  # noqa: PLR0913 - what the arbiter made, one by one
    settings: Settings,
    *,
    clock: Clock = utc_now,
    is_shutting_down: SharedFlag | None = None,
    access_files: AccessFiles | None = None,
    tls: ServerTls | None = None,
    ledger: LedgerParts | None = None,
) -> Services:
    """Construct everything one process needs. Nothing connects yet.

    Args:
        settings: the whole configuration.
        clock: the server's now; tests pass their own.
        is_shutting_down: the flag shared by all workers, one of its own when absent.
        access_files: the policy, the tokens and the keys of sessions, read now when absent.
        tls: what encrypts connections, if they are.
        ledger: its keys, and the state that all workers show; read and made now when absent.

    Raises:
        BadFileError: they cannot be used.
    """
    services = Services()
    services.add(services, settings, is_shutting_down or SharedFlag())
    features.add_readers(services, settings, clock)
    add_metrics(services, settings)
    if tls is not None:
        add_tls(services, tls)
    files = access_files or AccessFiles(settings.auth, settings.console)
    add_access(services, settings, files, clock)
    services.add(ErrorPages(error_pages.show))
    add_database(services, settings)
    features.add_queue(services, settings, clock)
    if settings.telemetry.enabled:
        # By name, because its packages are an extra: a service without traces must not need or load them.
        resolve_name("datastorage.wiring.tracing:add_tracing")(services, settings)
    features.add_audit(services, settings, clock)
    add_ledger(services, settings, clock, ledger)
    features.add_workflows(services, settings, clock)
    features.add_incidents(services, settings, clock)
    features.add_health(services, settings)
    features.add_replay(services, settings, clock)
    return services


def add_metrics(services: Services, settings: Settings) -> None:
    """Add the metrics."""
    metrics = Metrics(
        extra_services=settings.audit.extra_event_categories,
        revision=environment().get("IMAGE_REVISION", UNKNOWN),
    )
    services.add(metrics)
    services.starters.append(lambda: _write_log_from_a_thread(metrics))
    services.loops += [
        Loop("deferred metrics", metrics.write_deferred, DEFERRED_METRICS_INTERVAL),
        Loop("process gauges", metrics.update_process_gauges, PROCESS_GAUGES_INTERVAL),
    ]
    services.closers.append(metrics.write_deferred)


def add_tls(services: Services, tls: ServerTls) -> None:
    """Add what looks for new certificates."""
    expiry = services[Metrics].tls_certificate_expiry_timestamp_seconds

    def look() -> None:
        tls.look()
        expiry.set(tls.value.expires_at)

    services.loops.append(Loop("TLS certificate", look, LOOK_INTERVAL))


def _write_log_from_a_thread(metrics: Metrics) -> None:
    for writer in line_writers():
        writer.count_dropped = lambda kind: metrics.log_lines_dropped.labels(kind).inc()
        writer.start()


def add_database(services: Services, settings: Settings) -> None:
    """Add the database, with this process's share of the connections."""
    share = settings.database.max_open_conns // settings.server.workers
    database = Database(
        settings.database,
        share=share,
        reads=settings.server.share_of_reads(share) if share >= LEAST_SHARE_WITH_RESERVE else share,
        metrics=services[Metrics],
        application_name=application_name(),
    )
    services.closers.append(database.close)
    services.add(database)
