"""The health endpoints while a server is gone, frozen, or busy."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from sqlalchemy import text

from tests.support.builders import EVENTS
from tests.support.exposition import Scrape
from tests.support.http import Answer, Api
from tests.support.isolated import IsolatedService, isolated_service
from tests.support.servers import ROLE_PASSWORD
from tests.support.waiting import eventually

BUDGET_SECONDS = 2.5
NOT_READY = {
    "status": "not_ready",
    "reason": "database_unreachable",
    "error": "database connection failed",
}
UNHEALTHY = {
    "status": "unhealthy",
    "database": "unreachable",
    "redis": "connected",
    "auth": "none",
    "ledger": "unsigned",
    "error": "database connection failed",
}

SMALL_POOL = {"DATABASE_MAX_OPEN_CONNS": "4", "DATABASE_MAX_IDLE_CONNS": "2"}


def timed(api: Api, path: str) -> tuple[Answer, float]:
    started = time.monotonic()
    answer = api.get(path)
    return answer, time.monotonic() - started


def stale_findings_are_forgotten(api: Api) -> None:
    """Wait until no worker answers with a finding from before the fault."""
    deadline = time.monotonic() + 10
    downs = 0
    while downs < 8:
        downs = downs + 1 if api.get("/health/ready").status == 503 else 0
        assert time.monotonic() < deadline, "the service did not notice"


@pytest.mark.parametrize("fault", ["stop", "kill"])
def test_stopped_postgresql_makes_the_service_unready_but_alive(
    isolated: IsolatedService, fault: str
) -> None:
    getattr(isolated.postgres, fault)()
    stale_findings_are_forgotten(isolated.api)

    ready, ready_seconds = timed(isolated.api, "/health/ready")
    health, health_seconds = timed(isolated.api, "/health")
    live, live_seconds = timed(isolated.api, "/health/live")
    readyz, healthz = (isolated.api.get(path) for path in ("/readyz", "/healthz"))

    assert (ready.status, ready.json) == (503, NOT_READY)
    assert (readyz.status, readyz.json) == (503, NOT_READY)
    assert (healthz.status, healthz.json["status"]) == (200, "healthy")
    assert (health.status, health.json) == (503, UNHEALTHY)
    assert (live.status, live.json) == (200, {"status": "alive"})
    assert max(ready_seconds, health_seconds, live_seconds) < BUDGET_SECONDS
    assert Scrape(isolated.api).value("db_up") == 0


def test_body_and_log_of_a_failed_check_show_no_secrets(isolated: IsolatedService) -> None:
    isolated.postgres.stop()
    stale_findings_are_forgotten(isolated.api)

    answer = isolated.api.get("/health")

    assert str(isolated.postgres.port) not in answer.body.decode()
    assert "datastorage_app" not in answer.body.decode()
    eventually(lambda: '"probe":"database"' in isolated.service.log)
    assert ROLE_PASSWORD not in isolated.service.log


def test_service_is_ready_again_when_postgresql_is_back(isolated: IsolatedService) -> None:
    isolated.postgres.kill()
    stale_findings_are_forgotten(isolated.api)

    isolated.postgres.start()

    eventually(lambda: isolated.api.get("/health/ready").status == 200, timeout_seconds=5)
    eventually(lambda: Scrape(isolated.api).value("db_up") == 1, timeout_seconds=5)


def test_restart_between_two_checks_goes_unnoticed(isolated: IsolatedService) -> None:
    for _ in range(8):
        assert isolated.api.get("/health/ready").status == 200
    isolated.postgres.kill()
    isolated.postgres.start()
    with psycopg.connect(isolated.postgres.url("postgres")) as superuser:
        # Findings live for a second: wait that long by the server's clock.
        superuser.execute("SELECT pg_sleep(1.1)")

    answers = [isolated.api.get("/health/ready").status for _ in range(8)]

    assert answers == [200] * 8


def test_frozen_postgresql_makes_parallel_checks_fail_in_time(isolated: IsolatedService) -> None:
    isolated.postgres.freeze()
    stale_findings_are_forgotten(isolated.api)

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: timed(isolated.api, "/health/ready"), range(10)))
    health, health_seconds = timed(isolated.api, "/health")
    live, live_seconds = timed(isolated.api, "/health/live")

    assert [answer.json for answer, _ in answers] == [NOT_READY] * 10
    assert max(seconds for _, seconds in answers) < BUDGET_SECONDS
    assert (health.json, live.status) == (UNHEALTHY, 200)
    assert health_seconds < BUDGET_SECONDS
    assert live_seconds < 0.5


def test_service_is_ready_again_when_postgresql_thaws(isolated: IsolatedService) -> None:
    isolated.postgres.freeze()
    stale_findings_are_forgotten(isolated.api)

    isolated.postgres.thaw()

    eventually(lambda: isolated.api.get("/health/ready").status == 200, timeout_seconds=10)


@pytest.mark.parametrize("fault", ["stop", "freeze"])
def test_redis_never_influences_readiness(isolated: IsolatedService, fault: str) -> None:
    getattr(isolated.redis, fault)()
    eventually(lambda: isolated.api.get("/health").json["redis"] == "unreachable")

    ready, ready_seconds = timed(isolated.api, "/health/ready")
    health, health_seconds = timed(isolated.api, "/health")

    assert (ready.status, ready.json) == (200, {"status": "ready"})
    assert (health.status, health.json) == (
        200,
        {
            "status": "healthy",
            "database": "connected",
            "redis": "unreachable",
            "auth": "none",
            "ledger": "unsigned",
        },
    )
    assert max(ready_seconds, health_seconds) < BUDGET_SECONDS
    assert Scrape(isolated.api).value("redis_up") == 0


@pytest.mark.parametrize(
    ("state", "command"),
    [("read_only", "REPLICAOF 127.0.0.1 1"), ("full", "CONFIG SET maxmemory 1")],
)
def test_redis_that_takes_no_entries_is_named(isolated: IsolatedService, state: str, command: str) -> None:
    with redis_after(isolated, command):
        eventually(lambda: isolated.api.get("/health").json["redis"] == state)
        health = isolated.api.get("/health")
        ready = isolated.api.get("/health/ready")

    assert (health.status, health.json["status"]) == (200, "healthy")
    assert (ready.status, ready.json) == (200, {"status": "ready"})
    assert Scrape(isolated.api).value("redis_up") == 1
    eventually(lambda: isolated.api.get("/health").json["redis"] == "connected")


def test_question_whether_redis_takes_entries_leaves_nothing(isolated: IsolatedService) -> None:
    with redis.Redis.from_url(isolated.redis.url) as client:
        before = set(client.keys())
        for _ in range(3):
            assert isolated.api.get("/health").json["redis"] == "connected"

        assert set(client.keys()) == before


def test_volatile_queue_is_named(isolated: IsolatedService) -> None:
    with redis.Redis.from_url(isolated.redis.url) as client:
        client.config_set("appendonly", "no")
        eventually(lambda: isolated.api.get("/health").json.get("queue") == "volatile")
        health = isolated.api.get("/health")
        gauge = Scrape(isolated.api).value("dlq_durable")
        client.config_set("appendonly", "yes")

    assert (health.status, health.json["redis"], gauge) == (200, "connected", 0)
    eventually(lambda: "queue" not in isolated.api.get("/health").json)
    eventually(lambda: Scrape(isolated.api).value("dlq_durable") == 1)


@contextmanager
def redis_after(isolated: IsolatedService, command: str) -> Iterator[None]:
    """Let Redis be a replica, or full, until the block ends."""
    with redis.Redis.from_url(isolated.redis.url) as client:
        client.execute_command(*command.split())
        try:
            yield
        finally:
            client.config_set("maxmemory", "0")
            client.replicaof("NO", "ONE")


def test_readiness_probes_alone_keep_the_gauge_of_redis_true(isolated: IsolatedService) -> None:
    def gauge_after_a_probe() -> float:
        assert isolated.api.get("/health/ready").status == 200
        return Scrape(isolated.api).value("redis_up")

    eventually(lambda: gauge_after_a_probe() == 1)

    isolated.redis.stop()

    eventually(lambda: gauge_after_a_probe() == 0)


def test_both_servers_frozen_cost_the_budget_once(isolated: IsolatedService) -> None:
    isolated.postgres.freeze()
    isolated.redis.freeze()
    stale_findings_are_forgotten(isolated.api)

    health, seconds = timed(isolated.api, "/health")

    assert (health.status, health.json["redis"]) == (503, "unreachable")
    assert seconds < BUDGET_SECONDS


def test_exhausted_pool_leaves_the_service_ready(isolated: IsolatedService, tmp_path: Path) -> None:
    small = isolated.another_service(tmp_path, SERVER_WORKERS="1", **SMALL_POOL)
    with small, ThreadPoolExecutor(6) as threads:
        with isolated.locked_events():
            reads = [threads.submit(small.api.get, EVENTS) for _ in range(6)]
            # Of four connections one is kept for writes.
            eventually(lambda: Scrape(small.metrics_api).value("db_connections_in_use") == 3)
            checks = [timed(small.api, "/health/ready") for _ in range(10)]
        answers = [read.result() for read in reads]

    assert [answer.status for answer, _ in checks] == [200] * 10
    assert max(seconds for _, seconds in checks) < BUDGET_SECONDS
    assert [answer.status for answer in answers] == [200] * 6


def test_schema_older_than_the_code_is_not_ready(isolated: IsolatedService) -> None:
    with isolated.owner() as owner:
        revision = owner.scalar(text("SELECT version_num FROM alembic_version"))
        owner.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        try:
            stale_findings_are_forgotten(isolated.api)
            answer = isolated.api.get("/health/ready")
            health = isolated.api.get("/health")
        finally:
            owner.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})

    assert (answer.status, answer.json) == (503, {"status": "not_ready", "reason": "schema_outdated"})
    assert health.status == 200


def test_readiness_may_do_without_the_database_while_redis_answers(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("without-database")
    with isolated_service(directory, SERVER_READINESS_REQUIRES_DATABASE="false") as isolated:
        isolated.postgres.stop()
        eventually(lambda: "degraded" in isolated.api.get("/health/ready").json)
        degraded = isolated.api.get("/health/ready")
        with redis_after(isolated, "CONFIG SET maxmemory 1"):
            stale_findings_are_forgotten(isolated.api)
            full = isolated.api.get("/health/ready")
        isolated.redis.stop()
        stale_findings_are_forgotten(isolated.api)
        neither = isolated.api.get("/health/ready")

    assert (full.status, full.json) == (503, NOT_READY)
    assert (degraded.status, degraded.json) == (
        200,
        {"status": "ready", "degraded": "database_unreachable"},
    )
    assert (neither.status, neither.json) == (503, NOT_READY)
