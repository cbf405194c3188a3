"""``audit_event_ids``: who may do what, how it is stored, and what an upgrade writes into it."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.errors import RaiseException
from sqlalchemy import URL, Connection, insert, select, text

from datastorage.audit.identity import new_event_id
from datastorage.tables import audit_event_ids, audit_events
from tests.support.event_rows import an_event_row
from tests.support.schema import ALEMBIC_INI, RoleUrls, downgrade, downgrade_sql, engine_for, refused, upgrade

NOW = datetime.now(UTC)
OPERATIONS = ALEMBIC_INI.parent / "docs" / "operations.md"
NEVER_CHANGES, FORBIDDEN, DUPLICATE = "23514", "42501", "23505"


def a_row(**columns: Any) -> dict[str, Any]:
    return {"event_id": uuid4(), "event_date": NOW.date()} | columns


@pytest.mark.parametrize(
    "change",
    ["UPDATE audit_event_ids SET event_date = event_date", "TRUNCATE audit_event_ids"],
)
def test_owner_cannot_change_what_is_stored(owner: Connection, change: str) -> None:
    owner.execute(insert(audit_event_ids), a_row())
    owner.execute(text("SELECT set_config('datastorage.purge_guard', pg_current_xact_id()::text, true)"))

    with refused(owner, NEVER_CHANGES) as caught:
        owner.execute(text(change))

    assert "audit_event_ids never changes" in str(caught.value.orig)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_event_ids SET event_date = event_date",
        "DELETE FROM audit_event_ids",
        "TRUNCATE audit_event_ids",
    ],
)
def test_service_can_only_read_and_insert(app: Connection, change: str) -> None:
    row = a_row()
    app.execute(insert(audit_event_ids), row)

    with refused(app, FORBIDDEN):
        app.execute(text(change))

    assert app.execute(select(audit_event_ids)).all() == [tuple(row.values())]


def test_id_has_one_date(owner: Connection) -> None:
    row = a_row()
    owner.execute(insert(audit_event_ids), row)

    with refused(owner, DUPLICATE):
        owner.execute(insert(audit_event_ids), row | {"event_date": NOW.date() - timedelta(days=1)})


def test_vacuum_comes_by_numbers_of_rows(owner: Connection) -> None:
    options = owner.scalar(text("SELECT reloptions FROM pg_class WHERE oid = 'audit_event_ids'::regclass"))

    assert set(options) == {
        "autovacuum_vacuum_scale_factor=0",
        "autovacuum_vacuum_threshold=1000000",
        "autovacuum_vacuum_insert_scale_factor=0",
        "autovacuum_vacuum_insert_threshold=1000000",
    }


@pytest.fixture
def before(empty_urls: RoleUrls) -> URL:
    """A database as the release before left it."""
    upgrade(empty_urls.owner, "0006")
    return empty_urls.owner


def store(url: URL, event_id: UUID, *days_ago: int) -> None:
    """Store events as the release before did: one for each date."""
    rows = [an_event_row(event_id=event_id, event_timestamp=NOW - timedelta(days=days)) for days in days_ago]
    with engine_for(url) as engine, engine.begin() as connection:
        connection.execute(insert(audit_events), rows)


def known_ids(url: URL) -> dict[UUID, date]:
    with engine_for(url) as engine, engine.connect() as connection:
        return {row.event_id: row.event_date for row in connection.execute(select(audit_event_ids))}


def test_upgrade_knows_the_sent_ids_of_eight_days(before: URL) -> None:
    today, eight_days_ago, long_ago = uuid4(), uuid4(), uuid4()
    for event_id, days in ((today, 0), (eight_days_ago, 8), (long_ago, 10), (new_event_id(), 3)):
        store(before, event_id, days)

    upgrade(before)

    assert known_ids(before) == {
        today: NOW.date(),
        eight_days_ago: NOW.date() - timedelta(days=8),
    }


def test_upgrade_keeps_the_latest_of_the_dates_of_an_id(before: URL) -> None:
    event_id = uuid4()
    store(before, event_id, 5, 2, 4)

    upgrade(before)

    assert known_ids(before) == {event_id: NOW.date() - timedelta(days=2)}


@pytest.mark.parametrize(
    ("event_id", "is_known"),
    [
        ("01941f29-7bff-4000-8000-000000000000", True),
        ("01941f29-7c00-4000-8000-000000000000", False),
        ("01941f29-7c00-7000-8000-000000000000", True),
        ("0fffffff-ffff-4fff-bfff-ffffffffffff", True),
    ],
    ids=["before 2025", "2025", "of version 7", "in the far future"],
)
def test_upgrade_leaves_out_what_the_service_chose(before: URL, event_id: str, *, is_known: bool) -> None:
    store(before, UUID(event_id), 1)

    upgrade(before)

    assert (UUID(event_id) in known_ids(before)) == is_known


def test_upgrade_holds_up_no_write(before: URL) -> None:
    with engine_for(before) as engine, engine.begin() as writing:
        writing.execute(insert(audit_events), an_event_row(event_timestamp=NOW))

        upgrade(before, "0007")

        writing.execute(insert(audit_events), an_event_row(event_timestamp=NOW))


def test_statement_of_the_runbook_adds_what_the_old_release_stored_meanwhile(before: URL) -> None:
    [statement] = re.findall(r"```sql\n(DO \$\$.*?\$\$;)", OPERATIONS.read_text(encoding="utf-8"), re.DOTALL)
    known, missed = uuid4(), uuid4()
    store(before, known, 1)
    upgrade(before)
    store(before, missed, 2)
    store(before, new_event_id(), 2)

    with engine_for(before) as engine, engine.connect() as connection:
        autocommitting = connection.execution_options(isolation_level="AUTOCOMMIT")
        for _ in range(2):
            autocommitting.exec_driver_sql(statement)

    assert known_ids(before).keys() == {known, missed}


def test_downgrade_that_would_lose_ids_is_refused(before: URL) -> None:
    store(before, uuid4(), 1)
    upgrade(before)

    with pytest.raises(SystemExit) as refusal:
        downgrade(before, "0006")

    assert str(refusal.value) == (
        "downgrade to 0006 would lose rows of audit_events, audit_event_ids; pass -x lose-data=yes"
    )
    assert len(known_ids(before)) == 1
    downgrade(before, "0006", lose_data=True)


def test_sql_of_that_downgrade_refuses_too(before: URL) -> None:
    store(before, uuid4(), 1)
    upgrade(before)

    with engine_for(before) as engine, engine.connect() as connection, pytest.raises(RaiseException):
        connection.connection.cursor().execute(downgrade_sql("0007:0006"))
