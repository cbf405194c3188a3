from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy import Connection, insert, text

from datastorage.partitions.plan import Month
from datastorage.partitions.store import Outcome, Partition, PartitionStore
from datastorage.tables import audit_events
from tests.support.event_rows import an_event_row
from tests.support.schema import RoleUrls, engine_for


def named(store: PartitionStore, name: str) -> Partition | None:
    return next((partition for partition in store.list_partitions() if partition.name == name), None)


def outcomes(store: PartitionStore, *months: Month) -> list[tuple[str, Outcome]]:
    """Return what became of the months of ``audit_events``."""
    return [
        (str(ensured.month), ensured.outcome)
        for ensured in store.ensure(months)
        if ensured.table == "audit_events"
    ]


def test_listed_partition_has_month_and_bounds(store: PartitionStore) -> None:
    assert named(store, "audit_events_2026_01") == Partition(
        table="audit_events",
        name="audit_events_2026_01",
        month=Month(2026, 1),
        attached=True,
        bounds="FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        approximate_rows=None,
    )


def test_analysed_partition_tells_roughly_how_many_rows_it_has(
    store: PartitionStore, owner: Connection
) -> None:
    owner.execute(insert(audit_events), [an_event_row() for _ in range(3)])
    owner.execute(text("ANALYZE audit_events_2026_01"))

    partition = named(store, "audit_events_2026_01")

    assert partition is not None
    assert partition.approximate_rows == 3


def test_detached_month_is_listed_as_such(store: PartitionStore, owner: Connection) -> None:
    store.ensure([Month(2080, 1)])
    owner.execute(text("ALTER TABLE audit_events DETACH PARTITION audit_events_2080_01"))

    partition = named(store, "audit_events_2080_01")

    assert partition is not None
    assert (partition.month, partition.attached, partition.bounds) == (Month(2080, 1), False, None)


def test_tables_that_only_look_similar_are_not_listed(store: PartitionStore, owner: Connection) -> None:
    owner.execute(text("CREATE TABLE audit_events_copy (id int)"))
    owner.execute(text("CREATE SCHEMA elsewhere"))
    owner.execute(text("CREATE TABLE elsewhere.audit_events_2080_02 (id int)"))

    assert named(store, "audit_events_copy") is None
    assert named(store, "audit_events_2080_02") is None


def test_partition_with_a_name_of_its_own_is_listed_without_a_month(
    store: PartitionStore, owner: Connection
) -> None:
    bounds = "FROM ('2001-01-01') TO ('2002-01-01')"
    owner.execute(text(f"CREATE TABLE old_events PARTITION OF audit_events FOR VALUES {bounds}"))

    partition = named(store, "old_events")

    assert partition is not None
    assert partition.month is None


def test_missing_months_are_created_and_existing_ones_are_found(store: PartitionStore) -> None:
    first = outcomes(store, Month(2080, 5), Month(2080, 6))
    second = outcomes(store, Month(2080, 5), Month(2080, 6))

    assert first == [("2080_05", Outcome.CREATED), ("2080_06", Outcome.CREATED)]
    assert second == [("2080_05", Outcome.EXISTS), ("2080_06", Outcome.EXISTS)]


def test_detached_month_is_left_alone(store: PartitionStore, owner: Connection) -> None:
    store.ensure([Month(2080, 7)])
    owner.execute(text("ALTER TABLE audit_events DETACH PARTITION audit_events_2080_07"))

    ensured = store.ensure([Month(2080, 7)])[0]

    assert ensured.outcome is Outcome.DETACHED
    assert not ensured.is_ready


def test_month_that_cannot_be_created_does_not_hold_back_the_next(
    store: PartitionStore, owner: Connection
) -> None:
    bounds = "FROM ('2081-06-01') TO ('2081-09-01')"
    owner.execute(text(f"CREATE TABLE summer_events PARTITION OF audit_events FOR VALUES {bounds}"))

    overlapping, next_one = store.ensure([Month(2081, 8), Month(2081, 9)])[:2]

    assert overlapping.outcome is Outcome.FAILED
    assert overlapping.error is not None
    assert overlapping.error.sqlstate == "42P17"
    assert next_one.outcome is Outcome.CREATED


def test_existing_months_are_found_while_the_table_is_locked(store: PartitionStore, urls: RoleUrls) -> None:
    with engine_for(urls.owner) as engine, engine.begin() as connection:
        connection.execute(text("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE"))

        assert outcomes(store, Month(2026, 1)) == [("2026_01", Outcome.EXISTS)]


def test_two_at_once_create_each_month_once(store: PartitionStore) -> None:
    months = [Month(2082, number) for number in range(1, 7)]
    both_ready = Barrier(2)

    def ensure_together() -> list[tuple[str, Outcome]]:
        both_ready.wait()
        return outcomes(store, *months)

    with ThreadPoolExecutor(2) as pool:
        first, second = (run.result() for run in [pool.submit(ensure_together) for _ in range(2)])

    pairs = [{one[1], other[1]} for one, other in zip(first, second, strict=True)]
    assert all(pair == {Outcome.CREATED, Outcome.EXISTS} for pair in pairs)
