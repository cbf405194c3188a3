import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from datastorage import __version__
from datastorage.platform.metrics import Metrics

DEF = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
QUERY = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
STREAM_GAUGES = (
    *("dlq_depth_ratio", "dlq_capacity_ratio", "dlq_depth", "dlq_max_len", "dlq_parked", "dlq_pending"),
    *(
        "dlq_oldest_entry_age_seconds",
        "dlq_warning",
        "dlq_critical",
        "dlq_near_full",
        "dlq_overflow_imminent",
    ),
    "dead_letter_depth",
)
MODES = {
    "livesum": {
        *("db_connections_open", "db_connections_in_use", "db_connections_idle", "db_connections_max"),
        *("http_requests_in_flight", "connections_open", "body_bytes_in_flight"),
        *("requests_waiting", "slow_readers", "exports_active", "metrics_unshared_series"),
        "feed_followers",
        *("process_resident_memory_bytes", "process_open_fds"),
    },
    "livemin": {"ledger_signing_key_loaded"},
    "max": {"shutting_down", "build_info", "partition_last_write_timestamp"},
    "mostrecent": {
        *("db_up", "redis_up", "partition_months_ahead", "partition_status", "default_partition_rows"),
        *(*STREAM_GAUGES, "dlq_durable", "circuit_breaker_state"),
        *("auth_mode", "auth_backend_up", "auth_policy_valid", "tls_certificate_expiry_timestamp_seconds"),
        *("ledger_tree_size", "ledger_unsealed", "ledger_oldest_unsealed_seconds", "ledger_state"),
        *("ledger_published_tree_size", "ledger_audit_differences", "ledger_audit_timestamp"),
    },
}
BUCKETS = {
    "audit_lag_seconds": DEF,
    "write_duration_seconds": DEF,
    "query_duration_seconds": QUERY,
    "db_connection_wait_duration_seconds": (*QUERY, 2.5, 5, 10, 30),
    "http_request_duration_seconds": tuple(0.001 * 2**power for power in range(16)),
    "dlq_enqueue_duration_seconds": (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3),
    "auth_review_duration_seconds": (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    "dlq_recovery_age_seconds": (1, 10, 60, 300, 900, 3600, 14400, 86400),
    "dlq_drain_duration_seconds": (0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    "ledger_seal_duration_seconds": DEF,
    "ledger_seal_lag_seconds": (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
}

Run = Callable[[str], int]


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics(clock=lambda: datetime(2026, 3, 4, tzinfo=UTC))
    metrics.know_fields(frozenset({"event_type"}))
    return metrics


@pytest.fixture
def run_worker(tmp_path: Path) -> Run:
    """Runs statements in a process of its own, like a worker, and returns its id when it has ended."""

    def run(statements: str) -> int:
        preamble = "import os\nfrom datastorage.platform.metrics import Metrics\nmetrics = Metrics()"
        script = f"{preamble}\n{statements}\nprint(os.getpid())"
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        output = subprocess.check_output(  # noqa: S603 - the script is ours
            [sys.executable, "-W", "error", "-c", script], env=environment, text=True, timeout=30
        )
        return int(output)

    return run


def scraped(directory: Path) -> CollectorRegistry:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))
    return registry


def names_and_labels(registry: CollectorRegistry) -> set[tuple[str, frozenset[str]]]:
    return {
        (sample.name, frozenset(sample.labels)) for family in registry.collect() for sample in family.samples
    }


def test_every_gauge_says_how_the_values_of_several_workers_become_one(metrics: Metrics) -> None:
    modes: dict[str, set[str]] = {}
    for name, metric in vars(metrics).items():
        if isinstance(metric, Gauge):
            modes.setdefault(metric._multiprocess_mode, set()).add(name)

    assert modes == MODES


def test_every_histogram_has_the_buckets_of_the_contract(metrics: Metrics) -> None:
    buckets = {
        name: tuple(metric._kwargs["buckets"])
        for name, metric in vars(metrics).items()
        if isinstance(metric, Histogram)
    }

    assert buckets == BUCKETS


def test_every_metric_has_series_before_anything_happened(metrics: Metrics) -> None:
    empty = [family.name for family in metrics.registry.collect() if not family.samples]

    assert empty == []


def test_all_series_start_at_zero(metrics: Metrics) -> None:
    measured = {
        "datastorage_build_info",
        "datastorage_process_resident_memory_bytes",
        "datastorage_process_open_fds",
    }

    values = {
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if family.name not in measured
    }

    assert values == {0.0}


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("datastorage_audit_traces_total", {"service": "gateway", "status": "dlq_fallback"}),
        ("datastorage_audit_lag_seconds_count", {"service": "orchestration"}),
        ("datastorage_write_total", {"table": "resource_action_traces", "status": "failure"}),
        ("datastorage_query_total", {"operation": "audit_events", "status": "success"}),
        ("datastorage_validation_failures_total", {"field": "body", "reason": "too_large"}),
        ("datastorage_db_errors_total", {"reason": "partition_missing"}),
        ("datastorage_dlq_enqueue_total", {"stream": "notifications", "type": "notification_audit"}),
        ("datastorage_dead_letter_total", {"stream": "events", "reason": "conflict"}),
        ("datastorage_dlq_depth", {"stream": "events"}),
        ("datastorage_worker_exits_total", {"reason": "signal"}),
        ("datastorage_partition_status", {"partition": "2026_03", "status": "unavailable"}),
        ("datastorage_default_partition_rows", {"table": "resource_action_traces"}),
    ],
)
def test_bounded_label_values_exist_from_the_start(
    metrics: Metrics, name: str, labels: dict[str, str]
) -> None:
    assert metrics.registry.get_sample_value(name, labels) == 0


def test_a_queue_never_holds_the_entries_of_the_other(metrics: Metrics) -> None:
    labels = {"stream": "events", "type": "notification_audit"}

    assert metrics.registry.get_sample_value("datastorage_dlq_enqueue_total", labels) is None


def test_series_stay_far_below_the_limit_of_2000() -> None:
    series = [sample for family in Metrics().registry.collect() for sample in family.samples]

    assert len(series) < 900


def test_configured_categories_start_like_the_seven() -> None:
    metrics = Metrics(extra_services=["signal"])

    traces = metrics.registry.get_sample_value(
        "datastorage_audit_traces_total", {"service": "signal", "status": "success"}
    )
    lag = metrics.registry.get_sample_value("datastorage_audit_lag_seconds_count", {"service": "signal"})
    assert (traces, lag) == (0, 0)


def test_build_info_says_what_runs() -> None:
    metrics = Metrics(revision="3310e59")

    python = ".".join(map(str, sys.version_info[:3]))
    labels = {"version": __version__, "revision": "3310e59", "python": python}
    assert metrics.registry.get_sample_value("datastorage_build_info", labels) == 1


@pytest.mark.parametrize(
    ("field", "reason", "counted_field", "counted_reason"),
    [
        ("event_type", "required", "event_type", "required"),
        ("body", "too_large", "body", "too_large"),
        ("event_type; DROP TABLE", "required", "unknown", "required"),
        ("event_type", "because", "event_type", "unknown"),
        ("", "", "unknown", "unknown"),
    ],
)
def test_a_validation_failure_is_counted_under_known_labels_only(
    metrics: Metrics, field: str, reason: str, counted_field: str, counted_reason: str
) -> None:
    metrics.count_validation_failure(field, reason)

    labels = {"field": counted_field, "reason": counted_reason}
    assert metrics.registry.get_sample_value("datastorage_validation_failures_total", labels) == 1


def test_a_database_error_of_another_kind_counts_as_unknown(metrics: Metrics) -> None:
    metrics.count_db_error("timeout")
    metrics.count_db_error("42P99")

    counted = [
        metrics.registry.get_sample_value("datastorage_db_errors_total", {"reason": reason})
        for reason in ("timeout", "unknown", "42P99")
    ]
    assert counted == [1, 1, None]


def test_labels_find_the_same_series_by_position_and_by_name(metrics: Metrics) -> None:
    metrics.write.labels("audit_events", "success").inc()
    metrics.write.labels(status="success", table="audit_events").inc()
    metrics.write.labels("audit_events", "success").inc()

    labels = {"table": "audit_events", "status": "success"}
    assert metrics.registry.get_sample_value("datastorage_write_total", labels) == 3
    with pytest.raises(ValueError, match="label"):
        metrics.write.labels()


def test_two_tables_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()

    first.db_pool_timeouts.inc()

    assert first.registry.get_sample_value("datastorage_db_pool_timeouts_total") == 1
    assert second.registry.get_sample_value("datastorage_db_pool_timeouts_total") == 0


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_process_gauges_follow_the_process(metrics: Metrics, tmp_path: Path) -> None:
    before = metrics.registry.get_sample_value("datastorage_process_open_fds")

    with (tmp_path / "open").open("w", encoding="ascii"):
        metrics.update_process_gauges()

    assert before is not None
    assert metrics.registry.get_sample_value("datastorage_process_open_fds") == before + 1
    assert (metrics.registry.get_sample_value("datastorage_process_resident_memory_bytes") or 0) > 1_000_000


def test_workers_show_every_name_before_any_traffic(
    run_worker: Run, tmp_path: Path, metrics: Metrics
) -> None:
    run_worker("")

    # The files know no +Inf bucket or count of their own: the collector adds them. A gauge without labels is
    # there from the start in one process alone: the expiry of a certificate is absent without TLS, the end of
    # an audit before the first.
    names = ("tls_certificate_expiry_timestamp_seconds", "ledger_audit_timestamp")
    absent = {(f"datastorage_{name}", frozenset[str]()) for name in names}
    assert names_and_labels(scraped(tmp_path)) == names_and_labels(metrics.registry) - absent


def test_a_scrape_sums_the_workers(run_worker: Run, tmp_path: Path) -> None:
    run_worker("metrics.write.labels('audit_events', 'success').inc(2); metrics.db_connections_open.set(3)")
    run_worker("metrics.write.labels('audit_events', 'success').inc(5); metrics.db_connections_open.set(4)")

    registry = scraped(tmp_path)
    labels = {"table": "audit_events", "status": "success"}
    assert registry.get_sample_value("datastorage_write_total", labels) == 7
    assert registry.get_sample_value("datastorage_db_connections_open") == 7


def test_a_scrape_adds_the_buckets_of_the_workers(run_worker: Run, tmp_path: Path) -> None:
    run_worker("metrics.write_duration_seconds.labels('audit_events').observe(0.02)")
    run_worker("metrics.write_duration_seconds.labels('audit_events').observe(0.2)")

    registry, name = scraped(tmp_path), "datastorage_write_duration_seconds"
    assert registry.get_sample_value(f"{name}_count", {"table": "audit_events"}) == 2
    assert registry.get_sample_value(f"{name}_bucket", {"table": "audit_events", "le": "0.1"}) == 1
    assert registry.get_sample_value(f"{name}_sum", {"table": "audit_events"}) == pytest.approx(0.22)


def test_a_dead_worker_leaves_its_counts_but_not_its_connections(run_worker: Run, tmp_path: Path) -> None:
    dead = run_worker("metrics.db_connections_open.set(3); metrics.db_pool_timeouts.inc()")
    run_worker("metrics.db_connections_open.set(4)")

    mark_process_dead(dead, str(tmp_path))

    registry = scraped(tmp_path)
    assert registry.get_sample_value("datastorage_db_connections_open") == 4
    assert registry.get_sample_value("datastorage_db_pool_timeouts_total") == 1


def test_a_new_worker_does_not_reset_what_the_others_know(run_worker: Run, tmp_path: Path) -> None:
    run_worker(
        "metrics.dlq_depth.labels('events').set(800); metrics.db_up.set(1); metrics.shutting_down.set(1)"
    )
    run_worker("")

    registry = scraped(tmp_path)
    assert registry.get_sample_value("datastorage_dlq_depth", {"stream": "events"}) == 800
    assert registry.get_sample_value("datastorage_db_up") == 1
    assert registry.get_sample_value("datastorage_shutting_down") == 1


def test_the_value_set_last_wins_whichever_worker_set_it(run_worker: Run, tmp_path: Path) -> None:
    run_worker("metrics.dlq_depth.labels('events').set(800)")
    run_worker("metrics.dlq_depth.labels('events').set(0)")

    assert scraped(tmp_path).get_sample_value("datastorage_dlq_depth", {"stream": "events"}) == 0
