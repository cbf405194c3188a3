"""Reading ``audit_events``: plans, snapshots, exports."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import Connection, Select, insert

from datastorage.audit import queries
from datastorage.audit.cursor import position_of
from datastorage.audit.export import PAGE_ROWS, EventExport
from datastorage.audit.model import AuditFilter, ExportRequest, PageRequest
from datastorage.audit.reader import AuditReader
from datastorage.platform.db.database import Database
from datastorage.platform.db.keyset import Position
from datastorage.platform.exports import ExportCut, Exports
from datastorage.platform.metrics import Metrics
from datastorage.platform.web.lines import Lines
from datastorage.tables import audit_events
from tests.integration.audit.conftest import CONNECTIONS
from tests.support.audit_filters import events
from tests.support.builders import unique
from tests.support.event_rows import an_event_row
from tests.support.servers import TestDatabase

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


def plan_of(connection: Connection, statement: Select[Any]) -> str:
    """What PostgreSQL would do, from the driver's statement and its values."""
    compiled = statement.compile(dialect=connection.dialect)
    explained = connection.exec_driver_sql(f"EXPLAIN {compiled}", compiled.construct_params())
    return "\n".join(explained.scalars())


def partitions_in(plan: str) -> set[str]:
    return set(re.findall(r"Scan.* on (audit_events_\d{4}_\d{2})\b", plan))


def partitions_read(connection: Connection, wanted: AuditFilter) -> set[str]:
    by_page = partitions_in(plan_of(connection, queries.page(wanted, limit=10)))
    by_count = partitions_in(plan_of(connection, queries.count(wanted)))
    assert by_page == by_count
    return by_page


@pytest.mark.parametrize(
    ("since", "until", "months"),
    [
        (datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 20, tzinfo=UTC), {"2026_01"}),
        (datetime(2025, 12, 31, 23, 59, tzinfo=UTC), JANUARY, {"2025_12", "2026_01"}),
        (JANUARY - timedelta(microseconds=2), JANUARY - timedelta(microseconds=1), {"2025_12"}),
        (JANUARY, JANUARY, {"2026_01"}),
        (JANUARY, datetime(2026, 2, 1, tzinfo=UTC), {"2026_01", "2026_02"}),
    ],
)
def test_time_bounds_touch_only_the_partitions_of_their_months(
    owner: Connection, since: datetime, until: datetime, months: set[str]
) -> None:
    wanted = events(since=since, until=until)

    assert partitions_read(owner, wanted) == {f"audit_events_{month}" for month in months}


def test_without_time_bounds_every_partition_is_read(owner: Connection) -> None:
    months = partitions_read(owner, events())

    assert len(months) > 3


@pytest.mark.parametrize("ascending", [True, False])
def test_cursor_leaves_out_the_partitions_behind_it(owner: Connection, *, ascending: bool) -> None:
    after = Position(datetime(2026, 1, 14, tzinfo=UTC), UUID(int=1))

    pages = queries.page(events(after=after, ascending=ascending), limit=10)

    read = partitions_in(plan_of(owner, pages))
    assert "audit_events_2026_01" in read
    behind, ahead = ("audit_events_2025_12", "audit_events_2026_02")
    assert (behind in read, ahead in read) == ((False, True) if ascending else (True, False))


@pytest.fixture
def ours(owner: Connection) -> tuple[str, list[UUID]]:
    """A correlation with more rows than an export fetches at once; their ids, newest first."""
    correlation_id = unique()
    rows = [
        an_event_row(correlation_id=correlation_id, event_timestamp=JANUARY + timedelta(seconds=n))
        for n in range(PAGE_ROWS * 2 + 10)
    ]
    owner.execute(insert(audit_events), rows)
    return correlation_id, [row["event_id"] for row in reversed(rows)]


def of(ours: tuple[str, list[UUID]], **parts: Any) -> AuditFilter:
    return events(correlation_id=ours[0], **parts)


def ids_of(chunks: Iterable[bytes]) -> list[UUID]:
    return [UUID(json.loads(line)["event_id"]) for chunk in chunks for line in chunk.splitlines()]


def exported(reader: AuditReader, wanted: AuditFilter, limit: int = 100_000) -> EventExport:
    return reader.export(ExportRequest(filter=wanted, limit=limit))


def sent(export: EventExport) -> Lines:
    return Lines(export, "/events")


def page_of(reader: AuditReader, wanted: AuditFilter, **parts: Any) -> tuple[list[UUID], int | None]:
    """Read a page; return the ids on it and the total."""
    page = reader.find_page(PageRequest(filter=wanted, **parts))
    return ids_of([bytes(each) for each in page.data]), page.pagination.total


def test_export_has_every_row_in_order(reader: AuditReader, ours: tuple[str, list[UUID]]) -> None:
    export = exported(reader, of(ours))

    assert ids_of(sent(export)) == ours[1]
    assert export.next_cursor is None


def test_export_knows_its_last_row_before_it_starts(
    reader: AuditReader, ours: tuple[str, list[UUID]]
) -> None:
    export = exported(reader, of(ours), limit=600)
    assert export.next_cursor is not None
    end = position_of(export.next_cursor, ascending=False)
    ids = ids_of(sent(export))
    rest = exported(reader, of(ours, after=end))

    assert end.id == ids[-1]
    assert ids + ids_of(sent(rest)) == ours[1]
    assert rest.next_cursor is None


def test_export_shows_the_moment_it_began(
    reader: AuditReader, owner: Connection, ours: tuple[str, list[UUID]]
) -> None:
    export = exported(reader, of(ours))
    owner.execute(insert(audit_events), an_event_row(correlation_id=ours[0], event_timestamp=JANUARY))

    assert ids_of(sent(export)) == ours[1]


def in_use(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("datastorage_db_connections_in_use")


@pytest.mark.parametrize("chunks_read", [0, 1, 2])
def test_export_holds_no_connection_between_its_pages(
    reader: AuditReader, metrics: Metrics, ours: tuple[str, list[UUID]], chunks_read: int
) -> None:
    for _ in range(CONNECTIONS * 3):
        export = exported(reader, of(ours))
        for _, _chunk in zip(range(chunks_read), export.pages(), strict=False):
            assert in_use(metrics) == 0
        assert exports_active(metrics) == 1
        export.close()
        assert (in_use(metrics), exports_active(metrics)) == (0, 0)


def exports_active(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("datastorage_exports_active", {"kind": "audit"})


def test_export_survives_the_loss_of_its_connection(
    reader: AuditReader, database: TestDatabase, postgres_url: str, ours: tuple[str, list[UUID]]
) -> None:
    export = exported(reader, of(ours))
    chunks = iter(sent(export))
    first = next(chunks)
    with psycopg.connect(postgres_url, autocommit=True) as superuser:
        superuser.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND application_name = 'datastorage'",
            [database.app_url.database],
        )

    assert ids_of([first, *chunks]) == ours[1]


def test_export_that_takes_too_long_is_cut(
    db: Database, metrics: Metrics, ours: tuple[str, list[UUID]]
) -> None:
    exports = Exports("audit", maximum=1, longest=timedelta(), metrics=metrics)
    export = exported(AuditReader(db, exports, metrics, max_page_bytes=1 << 20), of(ours))
    chunks = iter(sent(export))

    first = next(chunks)

    assert len(first.splitlines()) == PAGE_ROWS
    with pytest.raises(ExportCut):
        next(chunks)


def test_id_on_two_dates_is_exported_as_often_as_it_matches(reader: AuditReader, owner: Connection) -> None:
    """The key of a row is its id and its date."""
    event_id, wanted = uuid4(), unique()
    rows = [
        an_event_row(event_id=event_id, correlation_id=wanted, event_timestamp=JANUARY),
        an_event_row(event_id=event_id, correlation_id=unique(), event_timestamp=JANUARY + timedelta(days=1)),
        an_event_row(correlation_id=wanted, event_timestamp=JANUARY + timedelta(days=2)),
    ]
    owner.execute(insert(audit_events), rows)

    export = exported(reader, events(correlation_id=wanted))

    assert ids_of(sent(export)) == [rows[2]["event_id"], event_id]


def test_page_and_count_read_one_snapshot(reader: AuditReader, ours: tuple[str, list[UUID]]) -> None:
    assert page_of(reader, of(ours), limit=3, offset=1) == (ours[1][1:4], len(ours[1]))


@pytest.mark.parametrize("limit", [3, 1009, 1010, 1011, 5000])
def test_first_page_knows_how_many_match(
    reader: AuditReader, ours: tuple[str, list[UUID]], limit: int
) -> None:
    assert page_of(reader, of(ours), limit=limit) == (ours[1][:limit], len(ours[1]))


@pytest.mark.parametrize(("limit", "rows"), [(1, 1), (2, 2), (3, 3), (4, 3)])
def test_first_page_by_another_column_knows_how_many_match(
    reader: AuditReader, owner: Connection, limit: int, rows: int
) -> None:
    resource_id = unique()
    owner.execute(insert(audit_events), [an_event_row(resource_id=resource_id) for _ in range(3)])

    ids, total = page_of(reader, events(resource_id=resource_id), limit=limit)

    assert (len(ids), total) == (rows, 3)


def test_first_page_of_nothing_is_empty(reader: AuditReader) -> None:
    nothing = events(correlation_id=unique())

    assert page_of(reader, nothing, limit=3) == ([], 0)
    assert page_of(reader, nothing, limit=3, include_total=False) == ([], None)


def test_count_is_left_out_when_the_page_tells(owner: Connection, ours: tuple[str, list[UUID]]) -> None:
    short, full = (
        "\n".join(explained(owner, queries.first_page(of(ours), limit=limit))) for limit in (1011, 10)
    )

    assert re.search(r"InitPlan.*\n.*never executed", short)
    assert not re.search(r"InitPlan.*\n.*never executed", full)


def explained(connection: Connection, statement: Select[Any]) -> list[str]:
    compiled = statement.compile(dialect=connection.dialect)
    found = connection.exec_driver_sql(f"EXPLAIN (ANALYZE) {compiled}", compiled.construct_params())
    return list(found.scalars())


def test_page_beyond_the_end_is_empty(reader: AuditReader, ours: tuple[str, list[UUID]]) -> None:
    for counted in (True, False):
        found = page_of(reader, of(ours), limit=1000, offset=2**63 - 1, include_total=counted)

        assert found == ([], len(ours[1]) if counted else None)


def test_numbers_of_any_size_pass_through_unchanged(reader: AuditReader, owner: Connection) -> None:
    digits = "1" + "0" * 300 + "1"
    row = an_event_row(event_data={"n": int(digits)})
    owner.execute(insert(audit_events), row)

    found = reader.find(row["event_id"])

    assert json.loads(bytes(found), parse_int=str)["event_data"] == {"n": digits}
