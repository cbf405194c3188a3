"""The metric table: name, meaning, labels, buckets, and how the values of several workers are combined.

Each row has a row for operators in ``docs/metrics.md``. A label value is never user input, an id or an
error text. Every series with a bounded set of label values exists at 0 from the start, so that a rate is
defined and an alert can be written before the first failure. `livesum` adds up the workers that are alive,
`mostrecent` takes the value that was set last in any worker.
"""

import platform
from collections.abc import Collection, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector

from datastorage import __version__
from datastorage.platform.clock import Clock, utc_now
from datastorage.platform.metrics import buckets
from datastorage.platform.metrics.deferred import DeferredUpdates
from datastorage.platform.metrics.files import UNSHARED
from datastorage.platform.metrics.label_values import (
    AUTH_MODES,
    AUTH_REFUSALS,
    AUTH_RESULTS,
    AUTH_REVIEWS,
    DB_ERROR_REASONS,
    DEAD_LETTER_REASONS,
    DIFFERENCES,
    ENQUEUE_FAILURES,
    LEDGER_STATES,
    PERMISSIONS,
    PROOF_RESULTS,
    RETRY_RESULTS,
    SERVICES,
    TARGET_KINDS,
    UNKNOWN,
    VALIDATION_REASONS,
    WRITTEN_TABLES,
)
from datastorage.platform.metrics.rows import (
    ABSENT_UNTIL_SET,
    Labels,
    Row,
    counter,
    each,
    gauge,
    histogram,
    start,
)
from datastorage.platform.request_class import RequestClass

OPERATIONS: Final = ("list", "get", "aggregate", "export", "audit_events", "search")
OUTCOMES: Final = ("success", "failure")
TRACE_OUTCOMES: Final = (*OUTCOMES, "dlq_fallback")
DB_RENEWAL_REASONS: Final = ("read_only", "shutdown", "lost", "plan")
STREAMS: Final = ("events", "notifications")

_STREAM = each(stream=STREAMS)
_UNMATCHED = Labels(("method", "path", "status"), (("GET", "unmatched", "404"),))


class Metrics:
    """Every metric as an attribute named like it, without ``datastorage_`` and ``_total``.

    In multi-process mode make one object per process: two would write the same files.

    Args:
        registry: where the metrics are registered; a new one by default, so that tests can have several.
        extra_services: configured event categories beside those of both contracts.
        revision: commit the image was built from.
        clock: gives the month whose partition series exist from the start.
    """

    # Writes
    audit_traces = counter("Audit records by outcome", each(service=SERVICES, status=TRACE_OUTCOMES))
    audit_lag_seconds = histogram(
        "From the event's timestamp to receipt", each(service=SERVICES), buckets=buckets.DEF
    )
    write_duration_seconds = histogram(
        "Duration of one database write attempt", each(table=WRITTEN_TABLES), buckets=buckets.DEF
    )
    write = counter("Database writes by outcome", each(table=WRITTEN_TABLES, status=OUTCOMES))
    validation_failures = counter(
        "Refused fields by reason", each(field=("body", UNKNOWN), reason=VALIDATION_REASONS)
    )

    # Reads
    query_duration_seconds = histogram(
        "Duration of a read", each(operation=OPERATIONS), buckets=buckets.QUERY
    )
    query = counter("Reads by outcome", each(operation=OPERATIONS, status=OUTCOMES))

    # Database and pool
    db_connections_open = gauge("Open pool connections", mode="livesum")
    db_connections_in_use = gauge("Pool connections checked out", mode="livesum")
    db_connections_idle = gauge("Pool connections not checked out", mode="livesum")
    db_connections_max = gauge("Most connections the pools may open", mode="livesum")
    db_connection_wait_duration_seconds = histogram("Wait for a pool connection", buckets=buckets.POOL_WAIT)
    db_pool_timeouts = counter("Requests that got no pool connection in time")
    db_errors = counter("Database errors by reason", each(reason=DB_ERROR_REASONS))
    db_connections_renewed = counter("Renewals of a process's connections", each(reason=DB_RENEWAL_REASONS))
    db_repeats = counter("Requests to the database repeated on a new connection", each(outcome=OUTCOMES))
    db_up = gauge("1 if the last database check succeeded", mode="mostrecent")
    redis_up = gauge("1 if the last Redis check succeeded", mode="mostrecent")

    # HTTP; observed by platform/web/http_metrics.py
    http_request_duration_seconds = histogram(
        "Time until the answer is ready", _UNMATCHED, buckets=buckets.HTTP
    )
    http_request = counter("HTTP requests", _UNMATCHED)
    http_request_exceptions = counter(
        "HTTP requests that ended in an unhandled exception", each(method=("GET",), path=("unmatched",))
    )
    http_requests_in_flight = gauge("HTTP requests being answered", mode="livesum")
    connections_open = gauge("Open connections", each(lane=("api", "metrics")), mode="livesum")
    connections_closed = counter(
        "Connections closed before a request was there",
        each(reason=("silent", "head_timeout", "worker_limit", "address_limit", "slow_reader", "tls")),
    )
    tls_certificate_expiry_timestamp_seconds = gauge(
        "Unix time at which our certificate expires", ABSENT_UNTIL_SET, mode="mostrecent"
    )
    requests_waiting = gauge(
        "Requests that wait for a thread", each(**{"class": tuple(RequestClass)}), mode="livesum"
    )
    slow_readers = gauge("Clients that take their answers slowly", mode="livesum")
    body_bytes_in_flight = gauge("Bytes of request bodies arriving or worked on", mode="livesum")
    exports_active = gauge("Exports being sent", each(kind=("audit", "incidents")), mode="livesum")
    overload_refusals = counter(
        "Requests refused because others take all the room",
        each(reason=("body_budget", "thread_wait", "exports")),
    )

    # Access; observed by platform/access and platform/web/refusals.py
    auth_mode = gauge("1 for each mode that is on", each(mode=AUTH_MODES[:-1]), mode="mostrecent")
    auth_requests = counter(
        "Requests by what became of the caller", each(mode=AUTH_MODES, result=AUTH_RESULTS)
    )
    auth_refusals = counter("Requests that access control refused", each(reason=AUTH_REFUSALS))
    auth_cache = counter("Tokens looked up in the cache", each(outcome=("hit", "miss", "joined")))
    auth_reviews = counter(
        "Reviews, and fetches of an issuer's keys", each(kind=AUTH_REVIEWS, result=("ok", "refused", "error"))
    )
    auth_review_duration_seconds = histogram(
        "Duration of a review", each(kind=AUTH_REVIEWS[:2]), buckets=buckets.REVIEW
    )
    auth_backend_up = gauge(
        "1 if the newest review or fetch succeeded", each(kind=("kubernetes", "keys")), mode="mostrecent"
    )
    rate_limited = counter(
        "Requests beyond a limit", each(kind=("failures", "identity"), permission=PERMISSIONS)
    )
    rate_limit_backend_errors = counter("Limits that Redis did not count in time")
    auth_policy_valid = gauge("1 if the newest policy and tokens are in force", mode="mostrecent")

    audit_reads = counter("Events about reads of audit records", each(outcome=("submitted", "dropped")))

    # Processes
    worker_exits = counter("Worker processes that ended", each(reason=("exit", "signal", "timeout")))
    shutting_down = gauge("1 during graceful shutdown", mode="max")
    build_info = gauge(
        "Always 1; the labels say what runs", Labels(("version", "revision", "python")), mode="max"
    )
    process_resident_memory_bytes = gauge("Resident memory of all workers", mode="livesum")
    process_open_fds = gauge("Open file descriptors of all workers", mode="livesum")

    log_lines_dropped = counter("Log lines that standard output did not take", each(kind=("access", "other")))
    metrics_unshared_series = gauge("Series without room in the metrics directory", mode="livesum")

    # Partitions
    partition_months_ahead = gauge("Future months of audit_events that have a partition", mode="mostrecent")
    partition_write_failures = counter("Events refused by a partition failure", Labels(("partition",)))
    partition_last_write_timestamp = gauge(
        "Unix time of the last committed insert", Labels(("partition",)), mode="max"
    )
    partition_status = gauge(
        "1 after a partition failure, 0 after the next success",
        Labels(("partition", "status")),
        mode="mostrecent",
    )
    default_partition_rows = gauge(
        "Rows outside all months", each(table=WRITTEN_TABLES[-1:]), mode="mostrecent"
    )

    # Ledger
    ledger_tree_size = gauge("Leaves of the ledger", mode="mostrecent")
    ledger_unsealed = gauge("Events and statements without a leaf", mode="mostrecent")
    ledger_oldest_unsealed_seconds = gauge("How long the first of them has been seen", mode="mostrecent")
    ledger_state = gauge("1 for the present state", each(state=LEDGER_STATES), mode="mostrecent")
    ledger_signing_key_loaded = gauge("1 if every worker has a key that signs", mode="livemin")
    ledger_seals = counter("Rounds of sealing", each(result=("sealed", "idle", "busy", "error")))
    ledger_seal_duration_seconds = histogram("Duration of a round that sealed", buckets=buckets.DEF)
    ledger_seal_lag_seconds = histogram(
        "From the acceptance of an event to its leaf", buckets=buckets.SEAL_LAG
    )
    ledger_publish = counter("Checkpoints sent", each(kind=TARGET_KINDS, result=("success", "failure")))
    ledger_published_tree_size = gauge(
        "Smallest size that the targets of a kind have", each(kind=TARGET_KINDS), mode="mostrecent"
    )
    ledger_audit_differences = gauge("What the last audit found", each(kind=DIFFERENCES), mode="mostrecent")
    ledger_audit_timestamp = gauge("Unix time of its end", ABSENT_UNTIL_SET, mode="mostrecent")
    ledger_proofs = counter("Proofs asked for", each(format=("tlog", "cose"), result=PROOF_RESULTS))
    ledger_verify_chain = counter("Chains verified", each(result=("valid", "tampered")))
    feed_followers = gauge("Connections that follow", each(kind=("stream", "poll")), mode="livesum")
    feed_events_sent = counter("Events sent to followers")
    feed_closed = counter("Streams closed", each(reason=("client", "slow", "shutdown", "shorter")))

    # Dead-letter queue
    dlq_depth_ratio = gauge("Queue depth divided by its bound", _STREAM, mode="mostrecent")
    dlq_capacity_ratio = gauge("Same value as datastorage_dlq_depth_ratio", _STREAM, mode="mostrecent")
    dlq_depth = gauge("Entries in the queue", _STREAM, mode="mostrecent")
    dlq_max_len = gauge("Configured bound of the queue", _STREAM, mode="mostrecent")
    dlq_parked = gauge("Entries waiting for their next attempt", _STREAM, mode="mostrecent")
    dlq_pending = gauge("Entries delivered and unfinished", _STREAM, mode="mostrecent")
    dlq_oldest_entry_age_seconds = gauge("Age of the oldest entry, 0 if empty", _STREAM, mode="mostrecent")
    dlq_warning = gauge("1 for 0.80 <= ratio < 0.90", _STREAM, mode="mostrecent")
    dlq_critical = gauge("1 for 0.90 <= ratio < 0.95", _STREAM, mode="mostrecent")
    dlq_near_full = gauge("1 for ratio >= 0.90", _STREAM, mode="mostrecent")
    dlq_overflow_imminent = gauge("1 for ratio >= 0.95", _STREAM, mode="mostrecent")
    dlq_enqueue = counter(
        "Entries queued",
        Labels(("stream", "type"), (("events", "audit_event"), ("notifications", "notification_audit"))),
    )
    dlq_enqueue_failures = counter("Entries not queued", each(stream=STREAMS, reason=ENQUEUE_FAILURES))
    dlq_enqueue_duration_seconds = histogram("Duration of an enqueue", _STREAM, buckets=buckets.ENQUEUE)
    dlq_durable = gauge("1 if Redis keeps what it has acknowledged", mode="mostrecent")
    dlq_retry = counter("Replay attempts by result", each(stream=STREAMS, result=RETRY_RESULTS))
    dlq_recovery_age_seconds = histogram("From first queued to stored", _STREAM, buckets=buckets.RECOVERY_AGE)
    dead_letter_depth = gauge("Entries given up", _STREAM, mode="mostrecent")
    dead_letter = counter("Moves to the dead letters", each(stream=STREAMS, reason=DEAD_LETTER_REASONS))
    dead_letter_blocked = counter("Moves refused because the dead letters are full", _STREAM)
    dlq_validation_failures = counter(
        "Queued entries that can never be stored", each(stream=STREAMS, reason=("unparseable", "invalid"))
    )
    dlq_drain_messages_processed = counter("Entries stored by the drain at shutdown", _STREAM)
    dlq_drain_timeout = counter("Drains cut at their deadline")
    dlq_drain_errors = counter("Failures during drains")
    dlq_drain_duration_seconds = histogram("Duration of the drain at shutdown", buckets=buckets.DRAIN)
    circuit_breaker_state = gauge("0 closed, 1 open, 2 probing", mode="mostrecent")

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        extra_services: Collection[str] = (),
        revision: str = UNKNOWN,
        clock: Clock = utc_now,
    ) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self.deferred = DeferredUpdates()
        self._known_fields = frozenset({"body"})
        # Not registered: in multi-process mode each worker measures itself, and the gauges are added up.
        self._process = ProcessCollector(registry=None)
        for row in vars(Metrics).values():
            if isinstance(row, Row):
                row.build(self, self.registry, self.deferred)
        self._start_services(extra_services)
        self._start_month(clock().strftime("%Y_%m"))
        self.build_info.labels(__version__, revision, platform.python_version()).set(1)
        self.update_process_gauges()

    def _start_services(self, services: Iterable[str]) -> None:
        for service in services:
            start(self.audit_lag_seconds, service)
            for status in TRACE_OUTCOMES:
                start(self.audit_traces, service, status)

    def _start_month(self, month: str) -> None:
        # The list of months has no end. Without any series, multi-process mode would not even show the names.
        start(self.partition_write_failures, month)
        start(self.partition_last_write_timestamp, month)
        start(self.partition_status, month, "unavailable")

    def know_fields(self, names: frozenset[str]) -> None:
        """Let refused fields of these names be counted under them; there is one list of them, the routes."""
        self._known_fields |= names

    def count_validation_failure(self, field: str, reason: str) -> None:
        """Count one refused field."""
        self.validation_failures.labels(
            field if field in self._known_fields else UNKNOWN,
            reason if reason in VALIDATION_REASONS else UNKNOWN,
        ).inc()

    def count_db_error(self, reason: str) -> None:
        """Count one database error by the code of the failure classification."""
        self.db_errors.labels(reason if reason in DB_ERROR_REASONS else UNKNOWN).inc()

    def write_deferred(self) -> None:
        """Write the updates that wait for an answer, and how many requests are in flight."""
        self.http_requests_in_flight.set(self.deferred.in_flight_count)
        self.deferred.write()

    def update_process_gauges(self) -> None:
        """Measure this process, where there is a ``/proc``; at each scrape, and now and then in a loop."""
        for family in self._process.collect():
            gauge = getattr(self, family.name, None)  # the client measures more than the table has
            if gauge is not None:
                gauge.set(family.samples[0].value)
        self.metrics_unshared_series.set(UNSHARED.series)
        UNSHARED.report()
