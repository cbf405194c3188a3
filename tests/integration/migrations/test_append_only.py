"""Nobody changes or removes a record: the triggers refuse it to the owner, privileges to the service."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, delete, insert, select, text, update

from datastorage.tables import audit_events, notification_audit
from tests.support.event_rows import a_notification_row, an_event_row
from tests.support.schema import RoleUrls, engine_for, refused

APPEND_ONLY, FORBIDDEN, BY_FOREIGN_KEY = "23514", "42501", "0A000"
# PostgreSQL 18 tells ON DELETE RESTRICT apart from other foreign key violations.
REFERENCED = ("23503", "23001")

SET_PURGE_GUARD = text(
    "SELECT set_config('datastorage.purge_guard', pg_current_xact_id()::text, true)",
)
CHANGES = {
    "audit_events": (
        "UPDATE audit_events SET severity = 'info'",
        "DELETE FROM audit_events",
        "DELETE FROM audit_events_2026_01",
        "TRUNCATE audit_events",
        "TRUNCATE audit_events_2026_01 CASCADE",
    ),
    "notification_audit": (
        "UPDATE notification_audit SET status = 'failed'",
        "DELETE FROM notification_audit",
        "TRUNCATE notification_audit",
    ),
}


@pytest.fixture
def owner_engine(urls: RoleUrls) -> Iterator[Engine]:
    with engine_for(urls.owner) as engine:
        yield engine


@pytest.mark.parametrize(
    ("table", "change"), [(table, change) for table, changes in CHANGES.items() for change in changes]
)
def test_owner_cannot_change_what_is_stored(owner: Connection, table: str, change: str) -> None:
    owner.execute(insert(audit_events), an_event_row())
    owner.execute(insert(notification_audit), a_notification_row())

    with refused(owner, APPEND_ONLY) as caught:
        owner.execute(text(change))

    assert f"{table} is append-only" in str(caught.value.orig)


def test_upsert_cannot_change_what_is_stored(owner: Connection) -> None:
    row = an_event_row()
    owner.execute(insert(audit_events), row)

    with refused(owner, APPEND_ONLY):
        owner.execute(
            text(
                "INSERT INTO audit_events SELECT * FROM audit_events"
                " ON CONFLICT (event_id, event_date) DO UPDATE SET severity = 'info'"
            )
        )


def test_plain_truncate_of_one_partition_is_refused_because_it_is_referenced(owner: Connection) -> None:
    with refused(owner, BY_FOREIGN_KEY):
        owner.execute(text("TRUNCATE audit_events_2026_01"))


def test_truncate_of_a_detached_partition_is_refused(owner: Connection) -> None:
    owner.execute(text("ALTER TABLE audit_events DETACH PARTITION audit_events_2026_01"))

    with refused(owner, APPEND_ONLY):
        owner.execute(text("TRUNCATE audit_events_2026_01"))


@pytest.mark.parametrize("table", ["audit_events", "notification_audit"])
@pytest.mark.parametrize(
    "change", ["UPDATE {} SET error_message = ''", "DELETE FROM {}", "TRUNCATE {}", "DROP TABLE {}"]
)
def test_service_has_no_privilege_to_change_anything(app: Connection, table: str, change: str) -> None:
    with refused(app, FORBIDDEN):
        app.execute(text(change.format(table)))


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE mine (id int)",
        "CREATE TABLE of_ours PARTITION OF audit_events FOR VALUES FROM ('2098-01-01') TO ('2098-02-01')",
        "ALTER TABLE audit_events DETACH PARTITION audit_events_2026_01",
        "UPDATE alembic_version SET version_num = '0000'",
        "DELETE FROM audit_events_2026_01",
    ],
)
def test_service_cannot_define_tables_nor_touch_partitions(app: Connection, change: str) -> None:
    with refused(app, FORBIDDEN):
        app.execute(text(change))


def test_service_writes_and_reads_both_tables_and_the_revision(app: Connection) -> None:
    parent = an_event_row()
    child = an_event_row(parent_event_id=parent["event_id"], parent_event_date=parent["event_date"])

    app.execute(insert(audit_events), parent)
    app.execute(insert(audit_events), child)
    app.execute(insert(notification_audit), a_notification_row(notification_id="n-1"))

    assert app.execute(select(audit_events.c.event_id)).all() != []
    assert app.scalars(select(notification_audit.c.notification_id)).all() == ["n-1"]
    assert app.execute(text("SELECT version_num FROM alembic_version")).one()


def test_purge_guard_lets_the_owner_delete_until_the_transaction_ends(owner_engine: Engine) -> None:
    first, second = stored(owner_engine), stored(owner_engine)

    with owner_engine.connect() as connection:
        with connection.begin():
            connection.execute(SET_PURGE_GUARD)
            removed = connection.execute(by_id(first)).rowcount
        with connection.begin(), refused(connection, APPEND_ONLY):
            connection.execute(by_id(second))

    assert removed == 1


def test_purge_guard_of_another_transaction_opens_nothing(owner: Connection) -> None:
    owner.execute(insert(audit_events), an_event_row())
    owner.execute(text("SET LOCAL datastorage.purge_guard = '1'"))

    with refused(owner, APPEND_ONLY):
        owner.execute(delete(audit_events))


def test_purge_guard_also_lets_updates_and_truncate_pass(owner: Connection) -> None:
    row = an_event_row()
    owner.execute(insert(audit_events), row)
    owner.execute(SET_PURGE_GUARD)

    changed = owner.execute(update(audit_events).values(severity="low"))
    owner.execute(text("TRUNCATE notification_audit"))

    assert changed.rowcount >= 1
    found = select(audit_events.c.severity).where(audit_events.c.event_id == row["event_id"])
    assert owner.scalar(found) == "low"


def test_use_of_the_purge_guard_is_logged_once_in_a_transaction(owner: Connection) -> None:
    owner.execute(insert(audit_events), [an_event_row(), an_event_row()])
    logged: list[str | None] = []
    driver = owner.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    driver.add_notice_handler(lambda notice: logged.append(notice.message_primary))
    owner.execute(text("SET LOCAL client_min_messages = log"))

    owner.execute(SET_PURGE_GUARD)
    owner.execute(delete(audit_events))

    assert logged == ["purge guard opened for DELETE on audit_events by datastorage"]


def test_purge_guard_gives_the_service_no_privilege(app: Connection) -> None:
    app.execute(SET_PURGE_GUARD)

    with refused(app, FORBIDDEN):
        app.execute(delete(audit_events))


def test_parent_with_a_child_cannot_be_purged(owner: Connection) -> None:
    parent = an_event_row()
    child = an_event_row(
        event_timestamp=datetime(2026, 2, 1, tzinfo=UTC),
        parent_event_id=parent["event_id"],
        parent_event_date=parent["event_date"],
    )
    owner.execute(insert(audit_events), parent)
    owner.execute(insert(audit_events), child)
    owner.execute(SET_PURGE_GUARD)

    with refused(owner, *REFERENCED) as caught:
        owner.execute(by_id(parent))

    assert "foreign key" in str(caught.value.orig)


def stored(engine: Engine) -> dict[str, Any]:
    row = an_event_row()
    with engine.begin() as connection:
        connection.execute(insert(audit_events), row)
    return row


def by_id(row: dict[str, Any]) -> Any:
    return delete(audit_events).where(audit_events.c.event_id == row["event_id"])
