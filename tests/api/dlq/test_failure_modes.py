"""One fault after another, each a real one: where a record is afterwards, and what operators are told."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from tests.api.dlq.desk import Desk
from tests.support.builders import EVENTS, an_event, now, rfc3339
from tests.support.exposition import Scrape
from tests.support.http import Answer, assert_problem
from tests.support.isolated import IsolatedService
from tests.support.waiting import eventually
from tests.support.workflow_builders import WORKFLOWS, a_workflow

ROLE = "datastorage_app"
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'datastorage_app'"


def as_superuser(isolated: IsolatedService, *statements: str) -> None:
    """Run statements in the database of the service, each for itself."""
    url = isolated.postgres.url(str(isolated.database.owner_url.database))
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@contextmanager
def between(isolated: IsolatedService, begin: list[str], end: list[str]) -> Iterator[None]:
    as_superuser(isolated, *begin)
    try:
        yield
    finally:
        as_superuser(isolated, *end)


Fault = Callable[[IsolatedService], AbstractContextManager[None]]


@contextmanager
def read_only(isolated: IsolatedService) -> Iterator[None]:
    """As after a failover to a standby."""
    change, allow = (
        "ALTER SYSTEM SET default_transaction_read_only",
        "SET default_transaction_read_only = off",
    )
    reload = "SELECT pg_reload_conf()"
    with between(isolated, [f"{change} = on", reload], [allow, f"{change} = off", reload]):
        eventually(lambda: is_read_only(isolated))  # by then every session has been told to read it again
        yield


def is_read_only(isolated: IsolatedService) -> bool:
    with psycopg.connect(isolated.postgres.url("postgres")) as connection:
        return connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)


def raising(sqlstate: str) -> Fault:
    """Let PostgreSQL raise this for every insert, for states that need a machine to be broken."""

    def fault(isolated: IsolatedService) -> AbstractContextManager[None]:
        tables = ("audit_events", "remediation_workflow_catalog")
        body = f"$$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '{sqlstate}'; END $$"
        begin = [f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS {body}"]
        begin += [f"CREATE TRIGGER fail BEFORE INSERT ON {table} EXECUTE FUNCTION fail()" for table in tables]
        return between(isolated, begin, ["DROP FUNCTION fail() CASCADE"])

    return fault


def no_connection_allowed(isolated: IsolatedService) -> AbstractContextManager[None]:
    limit = f"ALTER ROLE {ROLE} CONNECTION LIMIT"
    return between(isolated, [f"{limit} 0", TERMINATE], [f"{limit} -1"])


def password_rotated(isolated: IsolatedService) -> AbstractContextManager[None]:
    change, before = f"ALTER ROLE {ROLE} PASSWORD", isolated.database.app_url.password
    return between(isolated, [f"{change} 'rotated'", TERMINATE], [f"{change} '{before}'"])


def column_gone(isolated: IsolatedService) -> AbstractContextManager[None]:
    rename = "ALTER TABLE audit_events RENAME COLUMN"
    return between(isolated, [f"{rename} actor_type TO kind"], [f"{rename} kind TO actor_type"])


class Row(NamedTuple):
    """What a fault does: the reason operators see, and what a read and a workflow write are answered."""

    fault: Fault
    reason: str
    read: tuple[int, str | None]
    workflow_write: tuple[int, str | None]


UNAVAILABLE = (503, "2")
ROWS = {
    "read-only server": Row(read_only, "read_only", (200, None), UNAVAILABLE),
    "disk full": Row(raising("53100"), "disk_full", (200, None), UNAVAILABLE),
    "deadlock": Row(raising("40P01"), "contention", (200, None), (409, "1")),
    "serialization failure": Row(raising("40001"), "contention", (200, None), (409, "1")),
    "too many connections": Row(no_connection_allowed, "db_overloaded", UNAVAILABLE, UNAVAILABLE),
    "wrong password": Row(password_rotated, "misconfigured", UNAVAILABLE, UNAVAILABLE),
    "older schema": Row(column_gone, "schema_mismatch", (500, None), (201, None)),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_fault_queues_writes_names_its_reason_and_answers_the_rest(
    isolated: IsolatedService, desk: Desk, row: Row
) -> None:
    before = desk.scrape()
    with row.fault(isolated):
        read = isolated.api.get(EVENTS)  # first: it finds out which connections of the pool are gone
        write = isolated.api.post(EVENTS, an_event())
        workflow_write = isolated.api.post(WORKFLOWS, a_workflow())
        reasons = {entry["reason"] for entry in desk.entries_anywhere()}
        after = desk.scrape()

    assert write.status == 202
    assert outcome(read) == row.read
    assert outcome(workflow_write) == row.workflow_write
    assert row.reason in reasons
    name, labels = "db_errors_total", {"reason": row.reason}
    assert after.value(name, **labels) > before.value(name, **labels)
    desk.wait_until_empty()
    assert desk.is_stored(write.json["event_id"])


def outcome(answer: Answer) -> tuple[int, str | None]:
    return answer.status, answer.headers.get("Retry-After")


def test_conflicts_of_workflow_writes_have_their_own_problems(isolated: IsolatedService) -> None:
    with raising("40P01")(isolated):
        deadlock = assert_problem(isolated.api.post(WORKFLOWS, a_workflow()), 409, "deadlock")
    with raising("40001")(isolated):
        conflict = assert_problem(isolated.api.post(WORKFLOWS, a_workflow()), 409, "transaction-conflict")

    assert (deadlock["retry"], conflict["retry"]) == (True, True)


def test_password_that_was_rotated_makes_the_service_unready(isolated: IsolatedService) -> None:
    with password_rotated(isolated):
        eventually(lambda: isolated.api.get("/health/ready").status == 503, timeout_seconds=5)

    eventually(lambda: isolated.api.get("/health/ready").status == 200, timeout_seconds=5)


def test_redis_without_memory_matters_only_when_it_is_needed(isolated: IsolatedService, desk: Desk) -> None:
    labels = {"stream": "events", "reason": "oom"}
    before = desk.scrape()
    desk.client.config_set("maxmemory", "1")
    try:
        stored = isolated.api.post(EVENTS, an_event())
        isolated.api.get("/health")
        while_up = desk.scrape()
        isolated.postgres.stop()
        refused = isolated.api.post(EVENTS, an_event())
        after = desk.scrape()
    finally:
        desk.client.config_set("maxmemory", "0")

    assert stored.status == 201
    assert while_up.value("redis_up") == 1
    assert_problem(refused, 503, "service-unavailable")
    assert refused.headers["Retry-After"] == "5"
    name = "dlq_enqueue_failures_total"
    assert after.value(name, **labels) == before.value(name, **labels) + 1


def test_write_that_finds_no_free_connection_is_queued(isolated: IsolatedService, tmp_path: Path) -> None:
    pool = {"DATABASE_MAX_OPEN_CONNS": "1", "DATABASE_MAX_IDLE_CONNS": "1", "DATABASE_POOL_TIMEOUT": "500ms"}
    small = isolated.another_service(tmp_path, SERVER_WORKERS="1", **pool)
    with small, ThreadPoolExecutor(1) as threads:
        eventually(lambda: Scrape(small.api).value("partition_months_ahead") > 0)
        with isolated.locked_events():
            holder = threads.submit(small.api.get, EVENTS)
            eventually(lambda: Scrape(small.api).value("db_connections_in_use") == 1)
            began = time.monotonic()
            write = small.api.post(EVENTS, an_event())
            seconds = time.monotonic() - began
        held = holder.result()
        scrape = Scrape(small.api)

    assert (write.status, held.status) == (202, 200)
    assert 0.4 < seconds < 2
    assert scrape.value("db_errors_total", reason="pool_timeout") >= 1
    assert scrape.value("dlq_enqueue_total", stream="events", type="audit_event") == 1


def test_requests_beyond_the_threads_wait_and_are_served(isolated: IsolatedService, tmp_path: Path) -> None:
    narrow = isolated.another_service(tmp_path, SERVER_WORKERS="1", SERVER_THREADS="2")
    with narrow, ThreadPoolExecutor(8) as threads:
        with isolated.locked_events():
            reads = [threads.submit(narrow.api.get, EVENTS) for _ in range(8)]
            # Of two threads one is kept for writes.
            eventually(lambda: Scrape(narrow.metrics_api).value("http_requests_in_flight") == 1)
        statuses = [read.result().status for read in reads]

    assert statuses == [200] * 8


def test_event_from_a_clock_that_is_ahead_counts_as_no_lag(isolated: IsolatedService, desk: Desk) -> None:
    before = desk.scrape()

    assert isolated.api.post(EVENTS, an_event(event_timestamp=rfc3339(now(seconds=60)))).status == 201

    after = desk.scrape()
    count, total = "audit_lag_seconds_count", "audit_lag_seconds_sum"
    assert after.value(count, service="gateway") == before.value(count, service="gateway") + 1
    assert after.value(total, service="gateway") == before.value(total, service="gateway")


def test_body_over_the_limit_is_counted_as_a_refusal(isolated: IsolatedService, desk: Desk) -> None:
    labels = {"field": "body", "reason": "too_large"}
    before = desk.scrape()

    answer = isolated.api.post(EVENTS, body=b" " * (10 * 1024 * 1024 + 1))

    assert_problem(answer, 413, "request-too-large")
    name = "validation_failures_total"
    assert desk.scrape().value(name, **labels) == before.value(name, **labels) + 1


def test_damaged_month_holds_up_its_own_events_and_fails_only_its_own_reads(
    isolated: IsolatedService, desk: Desk
) -> None:
    damaged, sound = date(2095, 3, 1), date(2095, 4, 1)
    desk.make_month(sound)
    name = desk.make_month(damaged)
    isolated.api.post(EVENTS, an_event(event_timestamp="2095-03-14T12:00:00Z"))
    overwrite_first_page(isolated, name)
    desk.wait_until_empty()

    write = isolated.api.post(EVENTS, an_event(event_timestamp="2095-03-14T12:00:00Z"))
    other_month = isolated.api.post(EVENTS, an_event(event_timestamp="2095-04-14T12:00:00Z"))
    touching = isolated.api.get(EVENTS, {"since": "2095-03-01T00:00:00Z", "until": "2095-03-31T00:00:00Z"})
    elsewhere = isolated.api.get(EVENTS, {"since": "2095-04-01T00:00:00Z", "until": "2095-04-30T00:00:00Z"})
    reasons = {entry["reason"] for entry in desk.entries_anywhere()}
    scrape = desk.scrape()

    assert (write.status, other_month.status) == (202, 201)
    assert_problem(touching, 500, "internal-error")
    assert elsewhere.status == 200
    assert reasons == {"storage_error"}
    assert scrape.value("partition_status", partition="2095_03", status="unavailable") == 1
    # What operators do: the month is restored from a backup, here from an empty one. Detaching looks for
    # children of its events, and would stumble over the page.
    detach = f"ALTER TABLE audit_events DETACH PARTITION {name}"
    as_superuser(isolated, f"SET zero_damaged_pages = on; {detach}", f"DROP TABLE {name}")
    desk.make_month(damaged)
    desk.wait_until_empty()
    assert desk.is_stored(write.json["event_id"])


def overwrite_first_page(isolated: IsolatedService, table: str) -> None:
    """Damage the file of a table on the disk, and let nothing of it remain in memory."""
    url = isolated.postgres.url(str(isolated.database.owner_url.database))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        [path] = connection.execute("SELECT pg_relation_filepath(%s::regclass)", [table]).fetchone() or [""]
    isolated.postgres.stop()
    with (isolated.postgres.data_dir / "cluster" / path).open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 200)
    isolated.restore()
    # Ready is one process that reached the server; the pool may still have connections from before.
    eventually(lambda: isolated.api.post(EVENTS, an_event()).status == 201)
