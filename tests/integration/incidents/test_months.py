"""Months of ``resource_action_traces``: who makes them, their bounds, and rows that were there before."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import Connection, select, text

from datastorage.partitions.plan import RESOURCE_ACTION_TRACES, Month
from datastorage.partitions.store import Outcome, PartitionStore
from datastorage.partitions.worker import PartitionWorker
from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings
from datastorage.tables import resource_action_traces
from tests.support.incident_builders import insert_history, insert_trace
from tests.support.schema import RoleUrls, engine_for, refused

PARTITION_OF_ID = select(text("tableoid::regclass::text")).select_from(resource_action_traces)


@pytest.fixture
def owner(urls: RoleUrls) -> Iterator[Connection]:
    with engine_for(urls.owner) as engine, engine.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


@pytest.fixture
def settings(urls: RoleUrls) -> Settings:
    url = urls.app.set(drivername="postgresql").render_as_string(hide_password=False)
    return Settings.from_environ(
        {"DATASTORAGE_DATABASE_URL": url, "DATASTORAGE_REDIS_URL": "redis://127.0.0.1:1/0"}
    )


@pytest.fixture
def store(settings: Settings) -> Iterator[PartitionStore]:
    database = Database(settings.database, share=2, metrics=Metrics())
    yield PartitionStore(database)
    database.close()


def outcome(store: PartitionStore, month: Month) -> Outcome:
    ensured = store.ensure([month])
    return next(each.outcome for each in ensured if each.table == RESOURCE_ACTION_TRACES.name)


def partition_of(connection: Connection, trace_id: int) -> str | None:
    statement = PARTITION_OF_ID.where(resource_action_traces.c.id == trace_id)
    partition: str | None = connection.scalar(statement)
    return partition


def test_migration_creates_every_month_from_july_2025_to_three_ahead(store: PartitionStore) -> None:
    partitions = [p for p in store.list_partitions() if p.table == RESOURCE_ACTION_TRACES.name]

    months = [p.month for p in partitions if p.month is not None]
    assert months[0] == Month(2025, 7)
    assert all(one.next() == following for one, following in pairwise(months))
    ahead = Month.of(datetime.now(UTC))
    for _ in range(3):
        ahead = ahead.next()
    assert months[-1] == ahead
    assert [p.name for p in partitions if p.month is None] == ["resource_action_traces_default"]


def test_month_is_bounded_by_instants_in_utc(store: PartitionStore, owner: Connection) -> None:
    created = outcome(store, Month(2070, 12))

    owner.execute(text("SET TimeZone = 'UTC'"))
    bounds = owner.scalar(
        text(
            "SELECT pg_get_expr(relpartbound, oid) FROM pg_class"
            " WHERE relname = 'resource_action_traces_y2070m12'"
        )
    )
    assert created is Outcome.CREATED
    assert bounds == "FOR VALUES FROM ('2070-12-01 00:00:00+00') TO ('2071-01-01 00:00:00+00')"


def test_month_is_the_same_in_every_time_zone(urls: RoleUrls, owner: Connection) -> None:
    with engine_for(urls.app) as engine, engine.begin() as connection:
        connection.execute(text("SET LOCAL TimeZone = 'Pacific/Kiritimati'"))
        connection.execute(text("SET LOCAL DateStyle = 'German, DMY'"))
        connection.execute(text("SELECT ensure_month_partition('resource_action_traces', '2070-10-01')"))

    first = insert_trace(owner, insert_history(owner), action_timestamp=datetime(2070, 10, 1, tzinfo=UTC))
    before = insert_trace(
        owner, first.action_history_id, action_timestamp=first.action_timestamp - timedelta(microseconds=1)
    )

    assert partition_of(owner, first.id) == "resource_action_traces_y2070m10"
    assert partition_of(owner, before.id) == "resource_action_traces_default"


def test_second_call_finds_the_month(store: PartitionStore) -> None:
    assert outcome(store, Month(2071, 1)) is Outcome.CREATED
    assert outcome(store, Month(2071, 1)) is Outcome.EXISTS


def test_detached_month_is_left_alone(store: PartitionStore, owner: Connection) -> None:
    outcome(store, Month(2071, 2))
    owner.execute(text("ALTER TABLE resource_action_traces DETACH PARTITION resource_action_traces_y2071m02"))

    assert outcome(store, Month(2071, 2)) is Outcome.DETACHED


def test_rows_that_came_before_their_month_move_into_it(store: PartitionStore, owner: Connection) -> None:
    history_id = insert_history(owner)
    inside = insert_trace(owner, history_id, action_timestamp=datetime(2072, 3, 31, 23, 59, tzinfo=UTC))
    outside = insert_trace(owner, history_id, action_timestamp=datetime(2072, 4, 1, tzinfo=UTC))

    created = outcome(store, Month(2072, 3))

    assert created is Outcome.CREATED
    assert partition_of(owner, inside.id) == "resource_action_traces_y2072m03"
    assert partition_of(owner, outside.id) == "resource_action_traces_default"
    moved = owner.execute(
        select(resource_action_traces).where(resource_action_traces.c.id == inside.id)
    ).one()
    assert moved == inside


def test_new_month_has_keys_indexes_and_triggers_of_its_parent(
    store: PartitionStore, owner: Connection
) -> None:
    outcome(store, Month(2073, 1))

    inherited = text(
        "SELECT count(*) FROM pg_index WHERE indrelid = to_regclass(:name)"
        " UNION ALL SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass(:name) AND NOT tgisinternal"
        " UNION ALL SELECT count(*) FROM pg_constraint WHERE conrelid = to_regclass(:name)"
        " AND contype IN ('c', 'f', 'p', 'u')"
    )
    new = owner.scalars(inherited, {"name": "resource_action_traces_y2073m01"}).all()
    parent = owner.scalars(inherited, {"name": "resource_action_traces"}).all()
    assert new == parent
    assert len(new) == 3


def test_open_reader_makes_the_function_give_up_soon(urls: RoleUrls) -> None:
    with engine_for(urls.app) as engine, engine.begin() as reader, engine.begin() as app:
        reader.execute(select(resource_action_traces).limit(1)).all()

        with refused(app, "55P03"):
            app.execute(text("SELECT ensure_month_partition('resource_action_traces', '2073-05-01')"))


def test_rows_outside_all_months_are_counted_and_reported(
    store: PartitionStore, settings: Settings, owner: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    insert_trace(owner, insert_history(owner), action_timestamp=datetime(1999, 1, 1, tzinfo=UTC))
    metrics = Metrics()
    worker = PartitionWorker(store, settings, metrics, lambda: datetime.now(UTC))

    with caplog.at_level(logging.WARNING, logger="datastorage.partitions"):
        worker.run_once()

    rows = metrics.registry.get_sample_value(
        "datastorage_default_partition_rows", {"table": "resource_action_traces"}
    )
    assert rows
    assert rows == store.count_outside_months()["resource_action_traces"]
    warning = next(r for r in caplog.records if r.getMessage() == "Rows lie outside all months")
    assert warning.__dict__["rows"] == rows
