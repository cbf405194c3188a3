"""What clients see while PostgreSQL or Redis is gone, and afterwards."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

from datastorage.tables import audit_events, notification_audit
from tests.support.builders import BATCH, EVENTS, NOTIFICATIONS, a_notification, an_event, unique, widest
from tests.support.exposition import Scrape
from tests.support.http import assert_problem
from tests.support.incident_builders import INCIDENTS, an_incident
from tests.support.isolated import IsolatedService
from tests.support.waiting import eventually
from tests.support.workflow_builders import WORKFLOWS, a_workflow

QUICK_SECONDS = 2.0


def rows(isolated: IsolatedService, correlation_id: str) -> int:
    with isolated.owner() as owner:
        ours = audit_events.c.correlation_id == correlation_id
        return int(owner.execute(select(func.count()).where(ours)).scalar_one())


TOO_WIDE: list[tuple[str, str, str, dict[str, Any]]] = [
    ("audit_events", "error_message", EVENTS, an_event()),
    ("notification_audit", "message_summary", NOTIFICATIONS, a_notification()),
    ("remediation_workflow_catalog", "description", WORKFLOWS, a_workflow()),
    ("resource_action_traces", "model_reasoning", INCIDENTS, an_incident()),
]


@pytest.mark.parametrize(("table", "column", "path", "body"), TOO_WIDE)
def test_row_beyond_a_limit_of_postgresql_is_refused_for_good(
    isolated: IsolatedService, table: str, column: str, path: str, body: dict[str, Any]
) -> None:
    with isolated.owner() as owner:
        owner.execute(text(f"CREATE INDEX too_wide ON {table} ({column})"))
        try:
            answer = isolated.api.post(path, body | {column: widest(1000)})
        finally:
            owner.execute(text("DROP INDEX too_wide"))

    problem = assert_problem(answer, 400, "validation-error")
    assert list(problem["field_errors"]) == ["body"]
    assert "too_wide" not in answer.body.decode()


READS = [EVENTS, f"{EVENTS}?format=ndjson", f"{EVENTS}/0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11"]


@pytest.mark.parametrize("target", READS)
@pytest.mark.parametrize("fault", ["stop", "kill"])
def test_read_without_postgresql_is_unavailable_at_once(
    isolated: IsolatedService, fault: str, target: str
) -> None:
    isolated.api.get(target)  # leaves a connection in the pool that is about to die
    getattr(isolated.postgres, fault)()

    started = time.monotonic()
    answer = isolated.api.get(target)
    seconds = time.monotonic() - started

    problem = assert_problem(answer, 503, "service-unavailable")
    assert answer.headers["Retry-After"] == "2"
    assert "127.0.0.1" not in problem["detail"]
    assert seconds < QUICK_SECONDS


def test_reads_recover_without_a_restart_of_the_service(isolated: IsolatedService) -> None:
    ours = unique()
    isolated.api.post(EVENTS, an_event(correlation_id=ours))
    with ThreadPoolExecutor(16) as threads:
        # Fills the pools with connections that are about to die.
        list(threads.map(lambda _: isolated.api.get(EVENTS), range(32)))
    isolated.postgres.kill()
    assert isolated.api.get(EVENTS).status == 503

    isolated.postgres.start()

    eventually(lambda: isolated.api.get(EVENTS).status == 200, timeout_seconds=5)
    answers = [isolated.api.get(EVENTS, {"correlation_id": ours}) for _ in range(32)]
    assert {answer.status for answer in answers} <= {200, 503}
    assert [answer.status for answer in answers][-16:] == [200] * 16
    assert answers[-1].json["pagination"]["total"] == 1
    eventually(lambda: Scrape(isolated.api).value("db_connections_in_use") == 0)


def test_writes_recover_without_a_restart_of_the_service(isolated: IsolatedService) -> None:
    ours = unique()
    isolated.api.post(EVENTS, an_event())
    isolated.postgres.stop()

    isolated.postgres.start()

    statuses: list[int] = []

    def is_stored_at_once() -> bool:
        statuses.append(isolated.api.post(EVENTS, an_event(correlation_id=ours)).status)
        return statuses[-1] == 201

    eventually(is_stored_at_once, timeout_seconds=5)
    # Those that met a connection from before were queued, and come back by themselves.
    assert set(statuses) <= {201, 202}
    eventually(lambda: rows(isolated, ours) == len(statuses), timeout_seconds=60)  # a failed replay waits


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (EVENTS, an_event(correlation_id="refused-single")),
        ("/api/v1/audit", an_event(correlation_id="refused-older-name")),
        (BATCH, [an_event(correlation_id="refused-batch") for _ in range(3)]),
        (NOTIFICATIONS, a_notification(remediation_id="refused-notification")),
    ],
)
def test_write_without_postgresql_and_redis_is_refused_and_never_stored(
    isolated: IsolatedService, path: str, body: Any
) -> None:
    isolated.postgres.stop()
    isolated.redis.stop()

    answer = isolated.api.post(path, body)

    assert_problem(answer, 503, "service-unavailable")
    assert answer.headers["Retry-After"] == "5"
    isolated.restore()
    with isolated.owner() as owner:
        refused = [
            select(func.count()).where(audit_events.c.correlation_id.like("refused-%")),
            select(func.count()).where(notification_audit.c.remediation_id.like("refused-%")),
        ]
        assert [owner.execute(count).scalar_one() for count in refused] == [0, 0]


def test_write_is_stored_while_only_redis_is_gone(isolated: IsolatedService) -> None:
    ours = unique()
    isolated.redis.stop()

    answer = isolated.api.post(EVENTS, an_event(correlation_id=ours))

    assert answer.status == 201
    assert rows(isolated, ours) == 1


def test_refused_write_is_counted_as_a_failure(isolated: IsolatedService) -> None:
    isolated.postgres.stop()
    isolated.redis.stop()
    failures = {"service": "gateway", "status": "failure"}
    before = Scrape(isolated.api)

    isolated.api.post(EVENTS, an_event())

    after = Scrape(isolated.api)
    assert after.value("audit_traces_total", **failures) == before.value("audit_traces_total", **failures) + 1
    unreachable = {"reason": "db_unreachable"}
    assert after.value("db_errors_total", **unreachable) > before.value("db_errors_total", **unreachable)


def test_read_that_exceeds_the_statement_timeout_is_a_timeout(
    isolated: IsolatedService, tmp_path: Path
) -> None:
    impatient = isolated.another_service(tmp_path, DATABASE_STATEMENT_TIMEOUT="500ms")
    with impatient, isolated.locked_events():
        started = time.monotonic()
        listed = impatient.api.get(EVENTS)
        seconds = time.monotonic() - started
        one = impatient.api.get(READS[-1])
        exported = impatient.api.get(EVENTS, {"format": "ndjson"})
        errors = Scrape(impatient.api).value("db_errors_total", reason="timeout")

    for answer in (listed, one, exported):
        assert_problem(answer, 504, "query-timeout")
    assert 0.4 < seconds < QUICK_SECONDS
    assert errors == 3


def test_write_to_a_locked_table_waits_no_longer_than_the_lock_timeout(isolated: IsolatedService) -> None:
    ours = unique()
    isolated.redis.stop()
    with isolated.locked_events():
        started = time.monotonic()
        answer = isolated.api.post(EVENTS, an_event(correlation_id=ours))
        seconds = time.monotonic() - started

    assert_problem(answer, 503, "service-unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert 1.9 < seconds < 2 + 3
    assert rows(isolated, ours) == 0


def test_log_never_shows_the_password_of_the_database(isolated: IsolatedService) -> None:
    isolated.postgres.stop()

    isolated.api.get(EVENTS)
    isolated.api.post(EVENTS, an_event())

    eventually(lambda: "Request failed" in isolated.service.log)
    password = isolated.database.app_url.password
    assert password is not None
    assert str(password) not in isolated.service.log
