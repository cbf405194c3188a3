"""One pool, two ways to use it, on the real server."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from time import monotonic
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Connection, Engine, column, insert, select, table, text

from datastorage.errors import (
    DatabaseError,
    Deadlock,
    QueryTimeout,
    RowRefused,
    TransactionConflict,
    Unavailable,
)
from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics
from datastorage.tables import audit_events
from tests.integration.platform.db.conftest import OpenDatabase
from tests.support.event_rows import an_event_row
from tests.support.servers import TestDatabase
from tests.support.waiting import eventually

LONG = timedelta(seconds=30)
SHORT = timedelta(milliseconds=200)


def ping(connection: Connection) -> int:
    return int(connection.execute(text("SELECT 1")).scalar_one())


def setting(name: str) -> Any:
    return lambda connection: connection.execute(
        text("SELECT current_setting(:name)"), {"name": name}
    ).scalar()


def backend(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def sample(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"datastorage_{name}", labels) or 0.0


def gauges(metrics: Metrics) -> list[float]:
    """Connections open, in use and idle."""
    names = ("db_connections_open", "db_connections_in_use", "db_connections_idle")
    return [sample(metrics, name) for name in names]


def terminate(postgres_url: str, *pids: int) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as superuser:
        for pid in pids:
            superuser.execute("SELECT pg_terminate_backend(%s)", [pid])
        alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"
        eventually(lambda: superuser.execute(alive, [list(pids)]).fetchone() == (0,))


def test_read_is_one_read_only_transaction(db: Database) -> None:
    def work(connection: Connection) -> tuple[Any, Any]:
        return setting("transaction_isolation")(connection), setting("transaction_read_only")(connection)

    assert db.read(work) == ("repeatable read", "on")
    with pytest.raises(Unavailable) as refused:
        db.read(lambda connection: connection.execute(insert(audit_events), an_event_row()))
    assert refused.value.reason == "read_only"


def test_write_commits_what_work_did_or_nothing(db: Database, owner: Connection) -> None:
    kept, lost = an_event_row(), an_event_row()

    def store_and_fail(connection: Connection) -> None:
        connection.execute(insert(audit_events), lost)
        raise LookupError

    db.write(lambda connection: connection.execute(insert(audit_events), kept))
    with pytest.raises(LookupError):
        db.write(store_and_fail)

    ids = [kept["event_id"], lost["event_id"]]
    stored = owner.execute(select(audit_events.c.event_id).where(audit_events.c.event_id.in_(ids)))
    assert stored.scalars().all() == [kept["event_id"]]


def test_write_after_a_read_on_the_same_connection_may_write(open_database: OpenDatabase) -> None:
    db = open_database(share=1)

    assert db.read(setting("transaction_read_only")) == "on"
    assert db.write(setting("transaction_read_only")) == "off"
    assert db.write(setting("transaction_isolation")) == "read committed"


def test_limits_of_one_transaction_do_not_reach_the_next(open_database: OpenDatabase) -> None:
    db = open_database(share=1, statement_timeout=timedelta(seconds=9))

    timeouts = [
        db.write(setting("statement_timeout"), timeout=timedelta(seconds=3)),
        db.write(setting("lock_timeout"), lock_timeout=timedelta(seconds=2)),
        db.read(setting("plan_cache_mode"), custom_plan=True),
    ]
    afterwards = [
        db.write(setting(name)) for name in ("statement_timeout", "lock_timeout", "plan_cache_mode")
    ]

    assert timeouts == ["3s", "2s", "force_custom_plan"]
    assert afterwards == ["9s", "0", "auto"]


def test_session_is_in_utc_and_named(db: Database) -> None:
    assert db.read(setting("TimeZone")) == "UTC"
    assert db.read(setting("application_name")) == "datastorage"


@pytest.mark.parametrize("way", ["read", "write"])
def test_statement_beyond_its_limit_is_a_timeout(db: Database, metrics: Metrics, way: str) -> None:
    run = db.read if way == "read" else db.write

    with pytest.raises(QueryTimeout):
        run(lambda connection: connection.execute(text("SELECT pg_sleep(20)")), timeout=SHORT)

    assert sample(metrics, "db_errors_total", reason="timeout") == 1
    assert gauges(metrics) == [1, 0, 1]


@pytest.fixture
def locked(owner_engine: Engine) -> Iterator[None]:
    """Nobody else gets at ``audit_events``."""
    engine = owner_engine.execution_options(isolation_level="READ COMMITTED")
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE"))
        yield


@pytest.mark.usefixtures("locked")
def test_lock_beyond_its_limit_is_not_waited_for_again(db: Database, metrics: Metrics) -> None:
    started = monotonic()

    with pytest.raises(TransactionConflict) as conflict:
        db.write(
            lambda connection: connection.execute(insert(audit_events), an_event_row()),
            timeout=LONG,
            lock_timeout=SHORT,
        )

    assert conflict.value.reason == "lock_timeout"
    assert monotonic() - started < 2 * SHORT.total_seconds()
    assert sample(metrics, "db_errors_total", reason="lock_timeout") == 1


def test_row_that_postgresql_refuses_names_its_constraint(db: Database) -> None:
    row = an_event_row()
    db.write(lambda connection: connection.execute(insert(audit_events), row))

    with pytest.raises(RowRefused) as refused:
        db.write(lambda connection: connection.execute(insert(audit_events), row))

    assert refused.value.reason == "unique"
    assert refused.value.constraint is not None


def test_deadlock_victim_runs_again(db: Database, metrics: Metrics) -> None:
    both_hold_one = Barrier(2, timeout=20)
    attempts: list[int] = []

    def take(first: int, second: int) -> int:
        def work(connection: Connection) -> int:
            attempts.append(first)
            lock = text("SELECT pg_advisory_xact_lock(:key)")
            connection.execute(lock, {"key": first})
            if len(attempts) <= 2:
                both_hold_one.wait()
            connection.execute(lock, {"key": second})
            return first

        return db.write(work)

    one, other = uuid4().int % 2**31, uuid4().int % 2**31
    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(take, one, other), threads.submit(take, other, one)]
        done = {each.result(30) for each in running}

    assert done == {one, other}
    assert len(attempts) == 3
    assert sample(metrics, "db_errors_total", reason="contention") == 1


@pytest.mark.parametrize(("sqlstate", "kind"), [("40P01", Deadlock), ("40001", TransactionConflict)])
def test_third_attempt_is_the_last(db: Database, sqlstate: str, kind: type[DatabaseError]) -> None:
    attempts: list[int] = []

    def work(connection: Connection) -> None:
        attempts.append(1)
        connection.execute(text(f"DO $$ BEGIN RAISE SQLSTATE '{sqlstate}'; END $$"))

    with pytest.raises(kind) as given_up:
        db.read(work)

    assert len(attempts) == 3
    assert given_up.value.retry_after_seconds == 1


def test_connection_is_waited_for_no_longer_than_the_pool_timeout(
    open_database: OpenDatabase, metrics: Metrics
) -> None:
    db = open_database(share=2, pool_timeout=SHORT)

    with db.snapshot(), db.snapshot():
        started = monotonic()
        with pytest.raises(Unavailable) as refused:
            db.read(ping)
        seconds = monotonic() - started
        held = gauges(metrics)

    assert refused.value.reason == "pool_timeout"
    assert SHORT.total_seconds() <= seconds < 1
    assert held == [2, 2, 0]
    assert sample(metrics, "db_pool_timeouts_total") == 1
    assert db.read(ping) == 1
    assert gauges(metrics)[1] == 0


def test_write_waits_for_a_connection_no_longer_than_its_own_limit(open_database: OpenDatabase) -> None:
    db = open_database(share=1, pool_timeout=LONG)

    with db.snapshot():
        started = monotonic()
        with pytest.raises(Unavailable):
            db.write(ping, timeout=SHORT)
        seconds = monotonic() - started

    assert seconds < 1


def test_everybody_gets_a_connection_in_the_end(open_database: OpenDatabase, metrics: Metrics) -> None:
    db = open_database(share=3, max_idle_conns=1)

    with ThreadPoolExecutor(20) as threads:
        done = list(threads.map(lambda _: db.read(ping), range(200)))

    assert done == [1] * 200
    assert gauges(metrics) == [1, 0, 1]
    assert sample(metrics, "db_connection_wait_duration_seconds_count") == 200


def run(db: Database, way: str, work: Callable[[Connection], object]) -> None:
    """Do some work in one of the three ways."""
    if way == "snapshot":
        with db.snapshot() as connection:
            work(connection)
    else:
        (db.read if way == "read" else db.write)(work)


@pytest.mark.parametrize("way", ["read", "write", "snapshot"])
def test_work_that_raises_gives_its_connection_back(db: Database, metrics: Metrics, way: str) -> None:
    def fail(_: Connection) -> None:
        raise LookupError

    for _ in range(10):
        with pytest.raises(LookupError):
            run(db, way, fail)

    assert gauges(metrics) == [1, 0, 1]
    assert db.read(ping) == 1


def test_connections_lost_while_idle_are_replaced(
    open_database: OpenDatabase, metrics: Metrics, postgres_url: str
) -> None:
    db = open_database(share=3, max_idle_conns=3)
    with db.snapshot() as one, db.snapshot() as two, db.snapshot() as three:
        pids = [backend(connection) for connection in (one, two, three)]

    terminate(postgres_url, *pids)
    answers = [outcome_of(db) for _ in range(6)]

    # A connection used within the last second is not asked first: one caller may find it dead, and
    # with it all of its age are thrown away.
    assert answers[1:] == ["answered"] * 5
    assert answers[0] in {"answered", "db_unreachable"}
    assert gauges(metrics) == [3, 0, 3]


def outcome_of(db: Database) -> str:
    try:
        db.read(ping)
    except Unavailable as error:
        return error.reason
    return "answered"


@pytest.mark.parametrize("way", ["read", "write", "snapshot"])
def test_connection_lost_in_use_is_unavailable_and_leaves_no_trace(
    db: Database, metrics: Metrics, postgres_url: str, way: str
) -> None:
    def work(connection: Connection) -> None:
        terminate(postgres_url, backend(connection))
        ping(connection)

    for _ in range(5):
        with pytest.raises(Unavailable) as lost:
            run(db, way, work)
        assert lost.value.reason == "db_unreachable"

    assert gauges(metrics)[1] == 0
    assert db.read(ping) == 1
    assert gauges(metrics) == [1, 0, 1]


def test_connection_idle_for_too_long_is_replaced(open_database: OpenDatabase) -> None:
    db = open_database(share=1, conn_max_idle_time=timedelta(microseconds=1))

    assert db.read(backend) != db.read(backend)


def test_connection_is_kept_otherwise(open_database: OpenDatabase) -> None:
    db = open_database(share=1)

    assert db.read(backend) == db.write(backend)


def test_pool_closed_leaves_no_connection(db: Database, owner: Connection, database: TestDatabase) -> None:
    pid = db.read(backend)

    db.close()

    activity = table("pg_stat_activity", column("pid"), column("datname"))
    mine = select(activity.c.pid).where(
        activity.c.pid == pid, activity.c.datname == database.app_url.database
    )
    eventually(lambda: owner.execute(mine).first() is None)


def test_nobody_answers_where_nobody_listens(open_database: OpenDatabase, metrics: Metrics) -> None:
    db = open_database(host="127.0.0.1", port=1)

    started = monotonic()
    with pytest.raises(Unavailable) as refused:
        db.read(ping)

    assert monotonic() - started < 1
    assert refused.value.reason == "db_unreachable"
    assert gauges(metrics) == [0, 0, 0]


def test_connection_outside_the_pool_needs_no_place_in_it(open_database: OpenDatabase) -> None:
    db = open_database(share=1, pool_timeout=SHORT)

    with db.snapshot(), db.connect_outside_pool() as connection:
        assert ping(connection) == 1
