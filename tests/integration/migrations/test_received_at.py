"""``received_at``: what the migrations make of rows that were stored before there was such a column."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, Connection, insert, table, text
from sqlalchemy import column as named

from datastorage.tables import SCHEMA_REVISION
from tests.support.event_rows import A_JANUARY_NOON, an_event_row
from tests.support.schema import RoleUrls, engine_for, refused, run_script, upgrade, upgrade_sql

ROWS = 3000
"""About three hundred pages in each of two months."""

INDEXES = """
    SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relname LIKE '%received_at%' AND i.indisvalid
"""


@pytest.fixture
def before(empty_urls: RoleUrls) -> URL:
    """A database of the release before, with rows in two months."""
    upgrade(empty_urls.owner, "0008")
    with engine_for(empty_urls.owner) as engine, engine.begin() as connection:
        write_as_before(connection, [A_JANUARY_NOON, A_JANUARY_NOON + timedelta(days=30)] * (ROWS // 2))
    return empty_urls.owner


def write_as_before(connection: Connection, timestamps: list[datetime]) -> None:
    """Write rows by a statement that does not know the column."""
    rows = [an_event_row(event_timestamp=at, error_message="x" * 500) for at in timestamps]
    events = table("audit_events", *map(named, rows[0]))
    connection.execute(insert(events), [row | {"event_data": "{}"} for row in rows])


def query(url: URL, statement: str) -> list[Any]:
    with engine_for(url) as engine, engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def assert_complete(url: URL) -> None:
    count = "SELECT count(*), count(*) FILTER (WHERE received_at = event_timestamp) FROM audit_events"
    assert query(url, count) == [(ROWS, ROWS)]
    [(is_not_null, default)] = query(
        url,
        "SELECT attnotnull, pg_get_expr(adbin, adrelid) FROM pg_attribute"
        " JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
        " WHERE attrelid = 'audit_events'::regclass AND attname = 'received_at'",
    )
    assert (is_not_null, default) == (True, "clock_timestamp()")
    months = query(url, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass")
    assert len(query(url, INDEXES)) == months[0][0] + 1
    assert query(url, "SELECT conname FROM pg_constraint WHERE conname = 'ck_audit_events_received_at'") == []


def test_older_rows_get_their_timestamp(before: URL) -> None:
    upgrade(before)

    assert_complete(before)


def test_release_before_goes_on_between_the_revisions(before: URL) -> None:
    upgrade(before, "0009")

    started = datetime.now(UTC)
    with engine_for(before) as engine, engine.begin() as connection:
        write_as_before(connection, [A_JANUARY_NOON])

    [(at,)] = query(before, "SELECT received_at FROM audit_events WHERE received_at IS NOT NULL")
    assert started <= at <= datetime.now(UTC)
    upgrade(before)
    assert query(before, "SELECT count(*) FROM audit_events WHERE received_at > event_timestamp") == [(1,)]


def test_fill_that_was_killed_goes_on_where_it_was(before: URL) -> None:
    upgrade(before, "0009")
    url = before.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        # What a kill in the middle leaves: some pages filled, and an index that is not valid.
        connection.execute(
            "BEGIN; SELECT set_config('datastorage.purge_guard', pg_current_xact_id()::text, true);"
            " UPDATE audit_events_2026_01 SET received_at = event_timestamp WHERE ctid < '(20,0)'; COMMIT"
        )
        connection.execute(
            "CREATE INDEX audit_events_2026_01_received_at_idx ON audit_events_2026_01 (event_date)"
        )

    upgrade(before)

    assert_complete(before)
    january = "SELECT pg_get_indexdef('audit_events_2026_01_received_at_idx'::regclass)"
    [(definition,)] = query(before, january)
    assert "USING brin (received_at) WITH (pages_per_range='32', autosummarize='on')" in definition


def test_sql_in_a_file_does_the_same(before: URL) -> None:
    run_script(before, upgrade_sql("0008:head"))

    assert_complete(before)
    assert query(before, "SELECT version_num FROM alembic_version") == [(SCHEMA_REVISION,)]


def test_rows_stay_append_only(before: URL) -> None:
    upgrade(before)

    with engine_for(before) as engine, engine.begin() as connection, refused(connection, "23514"):
        connection.execute(text("UPDATE audit_events SET received_at = event_timestamp"))
