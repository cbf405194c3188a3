"""One pool, two ways to use it, on the real server."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, Text, bindparam, func, insert, select, text

from datastorage.errors import (
    DatabaseError,
    Deadlock,
    QueryTimeout,
    RowRefused,
    TransactionConflict,
    Unavailable,
)
from datastorage.platform.db.database import Database, Work
from datastorage.platform.db.rendered import Rendered
from datastorage.platform.db.retries import LONG_PAUSES
from datastorage.platform.metrics import Metrics
from datastorage.tables import audit_events
from tests.integration.platform.db.conftest import OpenDatabase
from tests.integration.platform.db.observing import LONG, SHORT, gauges, sample, setting
from tests.support.event_rows import an_event_row


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


def test_statement_outside_a_transaction_has_one_plan_for_all_values(open_database: OpenDatabase) -> None:
    db = open_database(share=1)
    mode = Rendered(select(func.current_setting(bindparam("name", type_=Text()))))
    prepared = Rendered(text("SELECT custom_plans, generic_plans FROM pg_prepared_statements"))

    modes = {db.query(mode, {"name": "plan_cache_mode"})[0][0] for _ in range(20)}
    [(custom_plans, generic_plans)] = db.query(prepared, {})

    assert modes == {"force_generic_plan"}
    assert custom_plans == 0
    assert generic_plans > 0


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
@pytest.mark.parametrize(
    ("run", "most_attempts", "least_seconds", "most_seconds"),
    [
        (Database.read, 2, 0.05, 0.2),
        (Database.write, 3, 0.03, 0.09),
        (partial(Database.write, retries=LONG_PAUSES), 3, 0.1, 0.4),
    ],
    ids=["read", "write", "patient write"],
)
def test_attempts_and_the_pauses_between_them_are_limited(  # noqa: PLR0913, PLR0917 - one row of a table
    db: Database,
    sqlstate: str,
    kind: type[DatabaseError],
    run: Callable[[Database, Work[None]], None],
    most_attempts: int,
    least_seconds: float,
    most_seconds: float,
) -> None:
    attempts: list[float] = []

    def work(connection: Connection) -> None:
        attempts.append(monotonic())
        connection.execute(text(f"DO $$ BEGIN RAISE SQLSTATE '{sqlstate}'; END $$"))

    with pytest.raises(kind) as given_up:
        run(db, work)

    assert len(attempts) == most_attempts
    # What the attempts themselves take is up to the machine.
    assert least_seconds <= attempts[-1] - attempts[0] <= most_seconds + 1
    assert given_up.value.retry_after_seconds == 1
