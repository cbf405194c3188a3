from collections.abc import Callable
from threading import Event

import pytest

from datastorage.health.checks import Check
from datastorage.health.probes import QueueState
from datastorage.health.service import Down, HealthService, Up

NOT_READY = {"status": "not_ready", "reason": "database_unreachable", "error": "database connection failed"}


def up(fact: object = "0002") -> Callable[[], object]:
    return lambda: fact


def redis_is(state: str = "connected", *, is_durable: bool = True) -> Callable[[], object]:
    return lambda: QueueState(state, is_durable)


def down() -> object:
    raise ConnectionError("secret-host:5432 refused secret-user")


def service(
    database: Callable[[], object] = up(),  # noqa: B008 - a function without state
    redis: Callable[[], object] = redis_is(),  # noqa: B008 - the same
    *,
    is_shutting_down: bool = False,
    requires_database: bool = True,
) -> HealthService:
    return HealthService(
        Check("database", database),
        Check("redis", redis),
        is_shutting_down=lambda: is_shutting_down,
        required_revision="0002",
        readiness_requires_database=requires_database,
    )


def asked_nothing() -> object:
    pytest.fail("no check is due")


def test_liveness_checks_nothing_and_ignores_shutdown() -> None:
    health = service(asked_nothing, asked_nothing, is_shutting_down=True)

    assert health.live() == Up({"status": "alive"})


def test_shutdown_comes_before_every_check() -> None:
    health = service(asked_nothing, asked_nothing, is_shutting_down=True)

    assert health.ready() == Down({"status": "shutting_down", "reason": "graceful_shutdown_in_progress"})


def test_health_ignores_shutdown() -> None:
    assert isinstance(service(is_shutting_down=True).health(), Up)


def test_readiness_asks_redis_for_its_gauge_and_does_not_wait() -> None:
    is_asked, may_answer = Event(), Event()

    def hanging() -> object:
        is_asked.set()
        return may_answer.wait(timeout=10)

    try:
        assert service(redis=hanging).ready() == Up({"status": "ready"})
        assert not may_answer.is_set()
        assert is_asked.wait(timeout=10)
    finally:
        may_answer.set()


@pytest.mark.parametrize("revision", ["0002", "0003", "0010"])
def test_schema_as_new_as_the_code_or_newer_is_ready(revision: str) -> None:
    assert service(up(revision)).ready() == Up({"status": "ready"})


@pytest.mark.parametrize("revision", ["0001", None])
def test_schema_older_than_the_code_is_not_ready(revision: str | None) -> None:
    assert service(up(revision)).ready() == Down({"status": "not_ready", "reason": "schema_outdated"})


def test_unreachable_database_is_not_ready_and_unhealthy() -> None:
    assert service(down).ready() == Down(NOT_READY)
    assert service(down).health() == Down(
        {
            "status": "unhealthy",
            "database": "unreachable",
            "redis": "connected",
            "error": "database connection failed",
        }
    )


def test_unreachable_redis_is_healthy() -> None:
    assert service(redis=down).health() == Up(
        {"status": "healthy", "database": "connected", "redis": "unreachable"}
    )


def test_without_the_requirement_redis_is_enough_to_be_ready() -> None:
    degraded = {"status": "ready", "degraded": "database_unreachable"}

    assert service(down, redis_is(), requires_database=False).ready() == Up(degraded)
    assert service(down, down, requires_database=False).ready() == Down(NOT_READY)
    assert service(up(), down, requires_database=False).ready() == Up({"status": "ready"})


@pytest.mark.parametrize("state", ["read_only", "full"])
def test_redis_that_takes_no_entries_is_named_and_not_enough_to_be_ready(state: str) -> None:
    assert service(redis=redis_is(state)).health() == Up(
        {"status": "healthy", "database": "connected", "redis": state}
    )
    assert service(redis=redis_is(state)).ready() == Up({"status": "ready"})
    assert service(down, redis_is(state), requires_database=False).ready() == Down(NOT_READY)


def test_volatile_queue_is_named_and_changes_no_status() -> None:
    volatile = redis_is(is_durable=False)

    assert service(redis=volatile).health() == Up(
        {"status": "healthy", "database": "connected", "redis": "connected", "queue": "volatile"}
    )
    assert service(redis=volatile).ready() == Up({"status": "ready"})
    assert service(down, volatile, requires_database=False).ready() == Up(
        {"status": "ready", "degraded": "database_unreachable"}
    )
