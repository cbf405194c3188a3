"""Who gets a connection, and what becomes of those that are lost."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import monotonic

import pytest
from sqlalchemy import Connection, column, func, select, table

from datastorage.errors import (
    Unavailable,
)
from datastorage.platform.db.database import Database
from datastorage.platform.db.rendered import Rendered
from datastorage.platform.metrics import Metrics
from tests.integration.platform.db.conftest import OpenDatabase
from tests.integration.platform.db.observing import LONG, SHORT, backend, gauges, ping, sample, terminate
from tests.support.held_connections import held
from tests.support.servers import TestDatabase
from tests.support.waiting import eventually


def test_connection_is_waited_for_no_longer_than_the_pool_timeout(
    open_database: OpenDatabase, metrics: Metrics
) -> None:
    db = open_database(share=2, pool_timeout=SHORT)

    with held(db), held(db):
        started = monotonic()
        with pytest.raises(Unavailable) as refused:
            db.read(ping)
        seconds = monotonic() - started
        in_use = gauges(metrics)

    assert refused.value.reason == "pool_timeout"
    assert SHORT.total_seconds() <= seconds < 1
    assert in_use == [2, 2, 0]
    assert sample(metrics, "db_pool_timeouts_total") == 1
    assert db.read(ping) == 1
    assert gauges(metrics)[1] == 0


def test_write_waits_for_a_connection_no_longer_than_its_own_limit(open_database: OpenDatabase) -> None:
    db = open_database(share=1, pool_timeout=LONG)

    with held(db):
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
    assert gauges(metrics)[1] == 0
    assert sample(metrics, "db_connection_wait_duration_seconds_count") == 200


def two_backends(db: Database) -> set[int]:
    with held(db) as first, held(db) as second:
        return {backend(first), backend(second)}


def test_connections_that_are_needed_again_at_once_are_kept(
    open_database: OpenDatabase, metrics: Metrics
) -> None:
    db = open_database(share=3, max_idle_conns=1)

    assert two_backends(db) == two_backends(db)
    assert gauges(metrics) == [2, 0, 2]


def test_connections_that_nobody_needed_for_a_while_are_closed_beyond_the_idle_ones(
    open_database: OpenDatabase, metrics: Metrics
) -> None:
    db = open_database(share=3, max_idle_conns=1)
    db._pool.surplus_seconds = 0.0

    two_backends(db)

    assert gauges(metrics) == [1, 0, 1]
    assert db.read(ping) == 1
    assert gauges(metrics) == [1, 0, 1]


def run(db: Database, way: str, work: Callable[[Connection], object]) -> None:
    """Do some work in one of the two ways."""
    (db.read if way == "read" else db.write)(work)


@pytest.mark.parametrize("way", ["read", "write"])
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
    with held(db) as one, held(db) as two, held(db) as three:
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


@pytest.mark.parametrize("way", ["read", "write"])
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


@pytest.mark.parametrize("is_watched", [False, True])
def test_connection_lost_during_a_statement_of_kept_text_takes_all_of_its_age_with_it(
    open_database: OpenDatabase, metrics: Metrics, *, is_watched: bool
) -> None:
    db = open_database(share=2)
    if is_watched:
        db.watch(lambda _engine: None, lambda _seconds: None)
    old = two_backends(db)
    suicide = Rendered(select(func.pg_terminate_backend(func.pg_backend_pid())))

    with pytest.raises(Unavailable) as lost:
        db.query(suicide, {})
    new = two_backends(db)

    assert lost.value.reason == "db_unreachable"
    assert not old & new
    assert gauges(metrics) == [2, 0, 2]


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


def test_library_below_tells_nothing_of_its_steps(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    assert db.read(ping) == 1
    db.close()

    assert not [record for record in caplog.records if "pool" in record.name]


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

    with held(db), db.connect_outside_pool() as connection:
        assert ping(connection) == 1
