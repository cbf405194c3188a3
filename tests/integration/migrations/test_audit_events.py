"""The table ``audit_events`` on a real server: routing, dates, indexes, parents."""

from datetime import UTC, date, datetime, timedelta, timezone
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Connection, String, func, insert, literal_column, select, text

from datastorage.partitions.plan import Month
from datastorage.tables import audit_events
from tests.support.event_rows import an_event_row
from tests.support.schema import refused

INDEXES = {
    "idx_audit_events_event_timestamp",
    "idx_audit_events_correlation_id",
    "idx_audit_events_event_type",
    "idx_audit_events_resource",
    "idx_audit_events_actor",
    "idx_audit_events_outcome",
    "idx_audit_events_event_date",
    "idx_audit_events_event_data_gin",
    "idx_audit_events_category",
    "idx_audit_events_cursor",
    "idx_audit_events_parent_event",
    "idx_audit_events_received_at",
}


def partition_and_date(connection: Connection, event_id: object) -> tuple[str, date]:
    partition = literal_column("tableoid::regclass::text", String)
    query = select(partition, audit_events.c.event_date).where(audit_events.c.event_id == event_id)
    found = connection.execute(query).one()
    return found[0], found[1]


@pytest.mark.parametrize(
    ("timestamp", "partition", "event_date"),
    [
        (datetime(2026, 1, 31, 23, 59, 59, 999999, UTC), "audit_events_2026_01", date(2026, 1, 31)),
        (datetime(2026, 2, 1, tzinfo=UTC), "audit_events_2026_02", date(2026, 2, 1)),
        (
            datetime(2026, 2, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))),
            "audit_events_2026_01",
            date(2026, 1, 31),
        ),
    ],
)
def test_event_lands_in_the_month_of_its_utc_date(
    owner: Connection, timestamp: datetime, partition: str, event_date: date
) -> None:
    row = an_event_row(event_timestamp=timestamp)

    owner.execute(insert(audit_events), row)

    assert partition_and_date(owner, row["event_id"]) == (partition, event_date)


@pytest.mark.parametrize("wrong", [date(2026, 1, 15), date(2026, 2, 14)], ids=["day", "month"])
def test_wrong_date_is_refused_whatever_the_session_zone(owner: Connection, wrong: date) -> None:
    owner.execute(text("SET LOCAL TimeZone = 'Pacific/Auckland'"))
    row = an_event_row(event_timestamp=datetime(2026, 1, 14, 23, 30, tzinfo=UTC), event_date=wrong)

    with refused(owner, "23514") as caught:
        owner.execute(insert(audit_events), row)

    assert isinstance(caught.value.orig, psycopg.Error)
    assert caught.value.orig.diag.constraint_name == "trg_audit_events_event_date"


def test_insert_without_event_date_finds_no_partition_and_names_no_constraint(owner: Connection) -> None:
    row = an_event_row(event_data="{}")
    del row["event_date"]
    columns = ", ".join(row)
    values = ", ".join(f":{column}" for column in row)

    with refused(owner, "23514") as caught:
        owner.execute(text(f"INSERT INTO audit_events ({columns}) VALUES ({values})"), row)  # noqa: S608

    assert isinstance(caught.value.orig, psycopg.Error)
    assert caught.value.orig.diag.constraint_name is None


def test_missing_month_names_no_constraint_but_its_table(owner: Connection) -> None:
    row = an_event_row(event_timestamp=datetime(2099, 12, 1, tzinfo=UTC))

    with refused(owner, "23514") as caught:
        owner.execute(insert(audit_events), row)

    assert isinstance(caught.value.orig, psycopg.Error)
    assert caught.value.orig.diag.constraint_name is None
    assert caught.value.orig.diag.table_name == "audit_events"


def test_defaults_complete_a_minimal_row(owner: Connection) -> None:
    row = an_event_row()
    del row["event_id"]

    stored = owner.execute(insert(audit_events).returning(audit_events), row).one()

    assert stored.event_id is not None
    assert (stored.event_version, stored.retention_days, stored.is_sensitive) == ("1.0", 2555, False)
    assert (stored.severity, stored.parent_event_id, stored.duration_ms) == (None, None, None)


def test_unknown_parent_is_refused_by_the_named_foreign_key(owner: Connection) -> None:
    row = an_event_row(parent_event_id=uuid4(), parent_event_date=date(2026, 1, 14))

    with refused(owner, "23503") as caught:
        owner.execute(insert(audit_events), row)

    assert isinstance(caught.value.orig, psycopg.Error)
    assert caught.value.orig.diag.constraint_name == "fk_audit_events_parent"


def test_parent_may_be_in_another_month(owner: Connection) -> None:
    parent = an_event_row()
    child = an_event_row(
        event_timestamp=datetime(2026, 2, 2, tzinfo=UTC),
        parent_event_id=parent["event_id"],
        parent_event_date=parent["event_date"],
    )

    owner.execute(insert(audit_events), parent)
    owner.execute(insert(audit_events), child)

    assert partition_and_date(owner, child["event_id"])[0] == "audit_events_2026_02"


def test_every_index_of_the_contract_exists(owner: Connection) -> None:
    names = owner.scalars(text("SELECT indexname FROM pg_indexes WHERE tablename = 'audit_events'"))

    assert set(names) == INDEXES | {"pk_audit_events"}


def test_months_of_the_first_installation_exist(owner: Connection) -> None:
    this_month = Month.of(owner.scalars(select(func.now())).one())
    around = [this_month.previous(), this_month]
    for _ in range(3):
        around.append(around[-1].next())

    attached = owner.scalars(
        text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_events'::regclass")
    )

    expected = {"2025_11", "2025_12", "2026_01", "2026_02", *map(str, around)}
    assert set(attached) == {f"audit_events_{month}" for month in expected}
