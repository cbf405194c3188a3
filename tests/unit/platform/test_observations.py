"""What is kept for a while ends up in the metrics as if it had gone there at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from datastorage.platform.metrics import Metrics

LABELS = st.sampled_from(["gateway", "workflow"])
SECONDS = st.sampled_from([0.0, 0.001, 0.005, 0.0051, 0.3, 10.0, 10.5, 100.0])
SEEN = st.tuples(st.sampled_from(["count", "observe", "set", "wait"]), LABELS, SECONDS)


def table() -> Metrics:
    return Metrics(clock=lambda: datetime(2026, 3, 4, tzinfo=UTC))


def see(metrics: Metrics, kind: str, label: str, seconds: float) -> None:
    if kind == "count":
        metrics.audit_traces.labels(label, "success").inc(int(seconds) + 1)
    elif kind == "observe":
        metrics.audit_lag_seconds.labels(label).observe(seconds)
    elif kind == "wait":
        metrics.db_connection_wait_duration_seconds.observe(seconds)
    else:
        metrics.partition_last_write_timestamp.labels(label).set(seconds)


def shown(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample but those of this process."""
    return {
        (sample.name, frozenset(sample.labels.items())): round(sample.value, 6)
        for family in metrics.registry.collect()
        for sample in family.samples
        if not sample.name.startswith("datastorage_process_")
    }


@given(st.lists(SEEN, max_size=40))
def test_kept_observations_are_written_as_if_at_once(seen: list[tuple[str, str, float]]) -> None:
    at_once, kept = table(), table()
    kept.observations.keep_while(lambda: True)

    for kind, label, seconds in seen:
        see(at_once, kind, label, seconds)
        see(kept, kind, label, seconds)
    kept.observations.write()

    assert shown(kept) == shown(at_once)


def test_nothing_is_kept_when_nobody_comes() -> None:
    metrics = table()
    is_coming = True
    metrics.observations.keep_while(lambda: is_coming)
    before = generate_latest(metrics.registry)

    metrics.db_pool_timeouts.inc()
    while_coming = generate_latest(metrics.registry)
    is_coming = False
    metrics.db_pool_timeouts.inc()
    once_gone = metrics.registry.get_sample_value("datastorage_db_pool_timeouts_total")
    metrics.observations.write()

    assert while_coming == before
    assert once_gone == 1
    assert metrics.registry.get_sample_value("datastorage_db_pool_timeouts_total") == 2


def test_threads_that_write_at_the_same_time_lose_nothing() -> None:
    metrics = table()
    metrics.observations.keep_while(lambda: True)

    def work(_: int) -> None:
        for _ in range(500):
            metrics.audit_traces.labels("gateway", "success").inc()
            metrics.observations.write()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    labels = {"service": "gateway", "status": "success"}
    assert metrics.registry.get_sample_value("datastorage_audit_traces_total", labels) == 4000
