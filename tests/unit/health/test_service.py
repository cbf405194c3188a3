from collections.abc import Callable
from threading import Event
from typing import Literal

import msgspec
import pytest

from datastorage.health.checks import Check
from datastorage.health.probes import QueueState
from datastorage.health.routes import ALIVE, HEALTHY, READY, live
from datastorage.health.service import HealthService
from datastorage.ledger.state import SharedState, State
from datastorage.platform.metrics import Metrics
from datastorage.platform.web.operations import Answer
from tests.support.small_app import open_to_all

Sent = tuple[int, dict[str, str]]
RedisState = Literal["connected", "read_only", "full"]

IS_READY: Sent = (200, {"status": "ready"})
DEGRADED: Sent = (200, {"status": "ready", "degraded": "database_unreachable"})
NOT_READY: Sent = (
    503,
    {"status": "not_ready", "reason": "database_unreachable", "error": "database connection failed"},
)


def up(fact: object = "0002") -> Callable[[], object]:
    return lambda: fact


def redis_is(state: RedisState = "connected", *, is_durable: bool = True) -> Callable[[], object]:
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
        database=Check("database", database),
        redis=Check("redis", redis),
        access=open_to_all(Metrics()),
        ledger=SharedState(State.OK),
        is_shutting_down=lambda: is_shutting_down,
        required_revision="0002",
        readiness_requires_database=requires_database,
    )


def sent(answers: tuple[Answer, ...], outcome: object) -> Sent:
    """Return what a client gets: the status and the JSON."""
    [answer] = [each for each in answers if each.outcome is type(outcome)]
    reply = answer.reply(outcome)
    assert isinstance(reply.body, bytes)
    return reply.status, msgspec.json.decode(reply.body)


def ready(health: HealthService) -> Sent:
    return sent(READY, health.ready())


def healthy(health: HealthService) -> Sent:
    return sent(HEALTHY, health.health())


def asked_nothing() -> object:
    pytest.fail("no check is due")


def test_liveness_checks_nothing_and_ignores_shutdown() -> None:
    # There is no service here that could be asked.
    assert sent(ALIVE, live()) == (200, {"status": "alive"})


def test_shutdown_comes_before_every_check() -> None:
    health = service(asked_nothing, asked_nothing, is_shutting_down=True)

    assert ready(health) == (503, {"status": "shutting_down", "reason": "graceful_shutdown_in_progress"})


def test_health_ignores_shutdown() -> None:
    assert healthy(service(is_shutting_down=True))[0] == 200


def test_readiness_asks_redis_for_its_gauge_and_does_not_wait() -> None:
    is_asked, may_answer = Event(), Event()

    def hanging() -> object:
        is_asked.set()
        return may_answer.wait(timeout=10)

    try:
        assert ready(service(redis=hanging)) == IS_READY
        assert not may_answer.is_set()
        assert is_asked.wait(timeout=10)
    finally:
        may_answer.set()


@pytest.mark.parametrize("revision", ["0002", "0003", "0010"])
def test_schema_as_new_as_the_code_or_newer_is_ready(revision: str) -> None:
    assert ready(service(up(revision))) == IS_READY


@pytest.mark.parametrize("revision", ["0001", None])
def test_schema_older_than_the_code_is_not_ready(revision: str | None) -> None:
    assert ready(service(up(revision))) == (503, {"status": "not_ready", "reason": "schema_outdated"})


def test_unreachable_database_is_not_ready_and_unhealthy() -> None:
    assert ready(service(down)) == NOT_READY
    assert healthy(service(down)) == (
        503,
        {
            "status": "unhealthy",
            "database": "unreachable",
            "redis": "connected",
            "auth": "none",
            "ledger": "ok",
            "error": "database connection failed",
        },
    )


def test_unreachable_redis_is_healthy() -> None:
    assert healthy(service(redis=down)) == (
        200,
        {
            "status": "healthy",
            "database": "connected",
            "redis": "unreachable",
            "auth": "none",
            "ledger": "ok",
        },
    )


def test_without_the_requirement_redis_is_enough_to_be_ready() -> None:
    assert ready(service(down, redis_is(), requires_database=False)) == DEGRADED
    assert ready(service(down, down, requires_database=False)) == NOT_READY
    assert ready(service(up(), down, requires_database=False)) == IS_READY


@pytest.mark.parametrize("state", ["read_only", "full"])
def test_redis_that_takes_no_entries_is_named_and_not_enough_to_be_ready(state: RedisState) -> None:
    assert healthy(service(redis=redis_is(state))) == (
        200,
        {"status": "healthy", "database": "connected", "redis": state, "auth": "none", "ledger": "ok"},
    )
    assert ready(service(redis=redis_is(state))) == IS_READY
    assert ready(service(down, redis_is(state), requires_database=False)) == NOT_READY


def test_volatile_queue_is_named_and_changes_no_status() -> None:
    volatile = redis_is(is_durable=False)

    assert healthy(service(redis=volatile)) == (
        200,
        {
            "status": "healthy",
            "database": "connected",
            "redis": "connected",
            "auth": "none",
            "ledger": "ok",
            "queue": "volatile",
        },
    )
    assert ready(service(redis=volatile)) == IS_READY
    assert ready(service(down, volatile, requires_database=False)) == DEGRADED
