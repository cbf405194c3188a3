"""What a session is like after connecting, and that connections are given up together."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Connection, text

from datastorage.embedded.stack import APP_ROLE
from datastorage.errors import Unavailable
from datastorage.platform.db.database import Database
from datastorage.platform.db.retries import IDENTIFIED
from datastorage.platform.metrics import Metrics
from tests.integration.platform.db.conftest import OpenDatabase
from tests.integration.platform.db.observing import backend, ping, sample, setting, terminate
from tests.support.held_connections import held

PINNED = {
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "statement_timeout": "9s",
}
ODD = {
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "SQL, MDY",
    "statement_timeout": "2s",
}


@pytest.fixture
def odd_role(postgres_url: str) -> Iterator[None]:
    """The role of the service has settings of its own in every new session."""
    role = sql.Identifier(APP_ROLE)
    with psycopg.connect(postgres_url, autocommit=True) as superuser:
        for name, value in ODD.items():
            change = sql.SQL("ALTER ROLE {} SET {} = {}")
            superuser.execute(change.format(role, sql.Identifier(name), sql.Literal(value)))
        yield
        superuser.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(role))


@pytest.mark.usefixtures("odd_role")
def test_session_has_our_settings_whatever_the_role_says(open_database: OpenDatabase) -> None:
    db = open_database(share=1, statement_timeout=timedelta(seconds=9))

    assert {name: db.write(setting(name)) for name in PINNED} == PINNED


@pytest.mark.usefixtures("odd_role")
def test_connection_outside_the_pool_has_them_too(open_database: OpenDatabase) -> None:
    db = open_database(share=1, statement_timeout=timedelta(seconds=9))

    with db.connect_outside_pool() as connection:
        assert {name: setting(name)(connection) for name in PINNED} == PINNED


def test_read_is_repeated_once_on_a_new_connection(db: Database, metrics: Metrics, postgres_url: str) -> None:
    seen: list[int] = []

    def work(connection: Connection) -> int:
        seen.append(backend(connection))
        if len(seen) == 1:
            terminate(postgres_url, *seen)
        return ping(connection)

    assert db.read(work) == 1
    assert len(set(seen)) == 2
    assert sample(metrics, "db_repeats_total", outcome="success") == 1
    assert sample(metrics, "db_connections_renewed_total", reason="shutdown") == 1


@pytest.mark.parametrize(("is_identified", "attempts"), [(True, 2), (False, 1)])
def test_write_whose_commit_was_sent_is_repeated_only_if_it_knows_itself(
    db: Database, metrics: Metrics, postgres_url: str, *, is_identified: bool, attempts: int
) -> None:
    seen: list[int] = []

    def work(connection: Connection) -> None:
        seen.append(backend(connection))
        if len(seen) == 1:
            terminate(postgres_url, *seen)  # the next message to this server is COMMIT

    if is_identified:
        db.write(work, retries=IDENTIFIED)
    else:
        with pytest.raises(Unavailable):
            db.write(work)

    assert len(seen) == attempts
    assert sample(metrics, "db_repeats_total", outcome="success") == attempts - 1


def test_repeat_that_fails_is_the_error_of_the_second_attempt(db: Database, metrics: Metrics) -> None:
    attempts: list[int] = []

    def work(connection: Connection) -> None:
        attempts.append(backend(connection))
        connection.execute(text("DO $$ BEGIN RAISE SQLSTATE '25006'; END $$"))

    with pytest.raises(Unavailable) as refused:
        db.write(work)

    assert refused.value.reason == "read_only"
    assert len(set(attempts)) == 2
    assert sample(metrics, "db_repeats_total", outcome="failure") == 1


def test_idle_connections_are_replaced_after_one_refused_a_write(open_database: OpenDatabase) -> None:
    db = open_database(share=3, max_idle_conns=3)
    with db.connect_outside_pool() as outside, held(db) as one, held(db) as two:
        before = {backend(connection) for connection in (one, two)}
        was_current = db.is_current(outside)
        with pytest.raises(Unavailable):
            db.write(lambda c: c.execute(text("DO $$ BEGIN RAISE SQLSTATE '25006'; END $$")))
        is_current = db.is_current(outside)
    with held(db) as one, held(db) as two:
        after = {backend(connection) for connection in (one, two)}

    assert (was_current, is_current) == (True, False)
    assert not before & after
