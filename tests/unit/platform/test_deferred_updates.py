"""Updates are written for many requests at a time, soon, and as if each had been written at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from datastorage.platform.metrics import Metrics
from datastorage.platform.metrics.deferred import MOST_ANSWERED

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


@settings(deadline=None)
@given(st.lists(SEEN, max_size=40))
def test_deferred_updates_are_written_as_if_at_once(seen: list[tuple[str, str, float]]) -> None:
    at_once, kept = table(), table()
    kept.deferred.begin()

    for kind, label, seconds in seen:
        see(at_once, kind, label, seconds)
        see(kept, kind, label, seconds)
    kept.deferred.write()

    assert shown(kept) == shown(at_once)


def timeouts(metrics: Metrics) -> float | None:
    """Return what a scrape shows of the counter that these tests use."""
    return metrics.registry.get_sample_value("datastorage_db_pool_timeouts_total")


def test_update_without_a_request_is_written_at_once() -> None:
    metrics = table()

    metrics.db_pool_timeouts.inc()

    assert timeouts(metrics) == 1


def test_request_that_is_alone_is_counted_before_its_answer_is_sent() -> None:
    metrics = table()

    for number in range(3):
        metrics.deferred.begin()
        metrics.db_pool_timeouts.inc()
        assert timeouts(metrics) == number
        metrics.deferred.answered()
        assert timeouts(metrics) == number + 1
        metrics.deferred.end()


def test_last_of_several_requests_writes_for_all() -> None:
    metrics = table()
    for _ in range(3):
        metrics.deferred.begin()
        metrics.db_pool_timeouts.inc()

    seen = []
    for _ in range(3):
        metrics.deferred.answered()
        seen.append(timeouts(metrics))

    assert seen == [0, 0, 3]


def test_crowd_that_never_ends_does_not_wait_for_the_last() -> None:
    metrics = table()
    metrics.deferred.begin()  # and it lasts

    seen = []
    for _ in range(3 * MOST_ANSWERED):
        metrics.deferred.begin()
        metrics.db_pool_timeouts.inc()
        metrics.deferred.answered()
        seen.append(timeouts(metrics))

    assert seen == [count // MOST_ANSWERED * MOST_ANSWERED for count in range(1, 3 * MOST_ANSWERED + 1)]


def test_deferred_updates_can_be_written_while_a_request_lasts() -> None:
    metrics = table()
    metrics.deferred.begin()
    metrics.db_pool_timeouts.inc()

    metrics.write_deferred()

    assert timeouts(metrics) == 1


def test_request_is_in_flight_until_its_answer_is_sent() -> None:
    metrics = table()
    metrics.deferred.begin()
    metrics.deferred.answered()
    metrics.write_deferred()
    while_sending = metrics.registry.get_sample_value("datastorage_http_requests_in_flight")
    metrics.deferred.end()
    metrics.write_deferred()

    assert while_sending == 1
    assert metrics.registry.get_sample_value("datastorage_http_requests_in_flight") == 0


def test_threads_that_write_at_the_same_time_lose_nothing() -> None:
    metrics = table()
    metrics.deferred.begin()

    def work(_: int) -> None:
        for _ in range(500):
            metrics.audit_traces.labels("gateway", "success").inc()
            metrics.deferred.write()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    labels = {"service": "gateway", "status": "success"}
    assert metrics.registry.get_sample_value("datastorage_audit_traces_total", labels) == 4000
