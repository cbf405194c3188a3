from collections.abc import Callable

import pytest

from datastorage.dlq.attempt import WriteAttempts
from datastorage.dlq.breaker import FAILURES_TO_OPEN, CircuitBreaker
from datastorage.errors import DatabaseError, RowRefused, Unavailable
from datastorage.platform.metrics import Metrics

TABLE = "audit_events"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def attempts(metrics: Metrics) -> WriteAttempts:
    return WriteAttempts(CircuitBreaker(metrics.circuit_breaker_state, clock=lambda: 7.0), metrics)


def failing(error: Exception) -> Callable[[], str]:
    def write() -> str:
        raise error

    return write


def fail(attempts: WriteAttempts, times: int, error: DatabaseError) -> None:
    for _ in range(times):
        with pytest.raises(DatabaseError):
            attempts.run(TABLE, failing(error))


UNREACHABLE = Unavailable("gone", reason="db_unreachable")
MISSING_MONTH = DatabaseError("no month", reason="partition_missing")


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"datastorage_{name}", labels)


def test_write_is_measured_and_its_result_returned(attempts: WriteAttempts, metrics: Metrics) -> None:
    assert attempts.run(TABLE, lambda: "written") == "written"

    assert value(metrics, "write_total", table=TABLE, status="success") == 1
    assert value(metrics, "write_duration_seconds_count", table=TABLE) == 1


def test_failed_write_is_measured_and_its_error_raised(attempts: WriteAttempts, metrics: Metrics) -> None:
    fail(attempts, 1, UNREACHABLE)

    assert value(metrics, "write_total", table=TABLE, status="failure") == 1
    assert value(metrics, "write_duration_seconds_count", table=TABLE) == 1


def test_database_that_keeps_failing_is_not_tried(attempts: WriteAttempts, metrics: Metrics) -> None:
    fail(attempts, FAILURES_TO_OPEN, UNREACHABLE)

    with pytest.raises(Unavailable) as skipped:
        attempts.run(TABLE, failing(AssertionError("tried")))

    assert skipped.value.reason == "circuit_open"
    assert value(metrics, "write_duration_seconds_count", table=TABLE) == FAILURES_TO_OPEN


def test_replay_is_tried_in_spite_of_the_circuit(attempts: WriteAttempts) -> None:
    fail(attempts, FAILURES_TO_OPEN, UNREACHABLE)

    assert attempts.run(TABLE, lambda: "written", is_replay=True) == "written"
    assert attempts.run(TABLE, lambda: "written") == "written"


@pytest.mark.parametrize("answer", [MISSING_MONTH, RowRefused("refused", reason="database_constraint")])
def test_failure_of_one_record_shows_that_the_database_answers(
    attempts: WriteAttempts, answer: DatabaseError
) -> None:
    fail(attempts, FAILURES_TO_OPEN - 1, UNREACHABLE)
    fail(attempts, 1, answer)
    fail(attempts, FAILURES_TO_OPEN - 1, UNREACHABLE)

    assert attempts.run(TABLE, lambda: "written") == "written"
