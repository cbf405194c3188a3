"""Searches in ``event_data`` are answered by its GIN index once there is something to gain."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Select, create_engine, text

from datastorage.audit import queries
from datastorage.audit.model import AuditFilter
from tests.support.audit_filters import events
from tests.support.servers import Servers, migrated_database

MANY_EVENTS = text("""
    INSERT INTO audit_events (event_id, event_timestamp, event_date, event_type, event_category,
                              event_action, event_outcome, actor_type, actor_id, resource_type,
                              resource_id, correlation_id, event_data)
    SELECT gen_random_uuid(), at, at::date, 'gateway.signal.received', 'gateway',
           'received', 'success', 'service', 'gateway-service', 'Signal', 'fp-' || n, 'rr-' || n % 500,
           jsonb_build_object('alert_name', 'Alert' || n % 1000, 'count', n,
                              'is_duplicate', n % 2000 = 0, 'source', jsonb_build_object('rack', 'r' || n))
    FROM generate_series(1, 10000) AS n,
         LATERAL (SELECT timestamptz '2026-01-01 00:00Z' + n * interval '4 minutes') AS moments (at)
""")
PARENT_INDEX = text("SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = to_regclass(:name)")


@pytest.fixture(scope="module")
def app(servers: Servers) -> Iterator[Connection]:
    """The service's own role, in a database of its own with ten thousand analysed events."""
    with migrated_database(servers.postgres_url) as database:
        owner_engine = create_engine(database.owner_url)
        with owner_engine.begin() as owner:
            owner.execute(text("SET LOCAL TimeZone = 'UTC'"))
            owner.execute(MANY_EVENTS)
            owner.execute(text("ANALYZE audit_events"))
        owner_engine.dispose()
        app_engine = create_engine(database.app_url)
        with app_engine.connect() as connection:
            yield connection
        app_engine.dispose()


def indexes_scanned(app: Connection, statement: Select[Any]) -> set[str]:
    """Return the indexes on the partitioned table that a bitmap scan of ``statement`` reads."""
    compiled = statement.compile(dialect=app.dialect, compile_kwargs={"render_postcompile": True})
    plan = app.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {compiled}", compiled.params).scalar_one()
    names = list(bitmap_index_names(plan[0]["Plan"]))
    return {app.execute(PARENT_INDEX, {"name": name}).scalar_one() for name in names}


def bitmap_index_names(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"] == "Bitmap Index Scan":
        yield node["Index Name"]
    for inner in node.get("Plans", []):
        yield from bitmap_index_names(inner)


SEARCHES = {
    "containment": events(event_data_contains='{"alert_name":"Alert7"}'),
    "nested containment": events(event_data_contains=json.dumps({"source": {"rack": "r77"}})),
    "path to text": events(at={"alert_name": "Alert7"}),
    "path to a number": events(at={"count": "77"}),
    "path into an object": events(at={"source.rack": "r77"}),
    "two conditions": events(at={"is_duplicate": "true"}, event_data_contains='{"alert_name":"Alert0"}'),
}


@pytest.mark.parametrize("wanted", SEARCHES.values(), ids=SEARCHES)
def test_page_is_found_through_the_payload_index(app: Connection, wanted: AuditFilter) -> None:
    scanned = indexes_scanned(app, queries.page(wanted, limit=51))

    assert scanned == {"idx_audit_events_event_data_gin"}


@pytest.mark.parametrize("wanted", SEARCHES.values(), ids=SEARCHES)
def test_matches_are_counted_through_the_payload_index(app: Connection, wanted: AuditFilter) -> None:
    assert indexes_scanned(app, queries.count(wanted)) == {"idx_audit_events_event_data_gin"}


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("containment", 10),
        ("nested containment", 1),
        ("path to text", 10),
        ("path to a number", 1),
        ("path into an object", 1),
        ("two conditions", 5),
    ],
)
def test_search_through_the_index_finds_every_match(app: Connection, name: str, matches: int) -> None:
    assert app.execute(queries.count(SEARCHES[name])).scalar_one() == matches


def test_index_of_every_month_merges_its_entries_early(app: Connection) -> None:
    options = app.execute(
        text(
            "SELECT c.relname, c.reloptions FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'idx_audit_events_event_data_gin'::regclass"
        )
    ).all()

    assert {name: each for name, each in options if each != ["gin_pending_list_limit=256"]} == {}
    assert len(options) > 4
