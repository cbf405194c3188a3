"""``ensure_month_partition()`` as the service calls it: with no right to create a table."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Connection, insert, select, text

from datastorage.tables import audit_events
from tests.support.event_rows import an_event_row
from tests.support.schema import RoleUrls, engine_for, refused

BOUNDS = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = to_regclass(:name)"
OWNER = "SELECT relowner::regrole::text FROM pg_class WHERE oid = to_regclass(:name)"
TRUNCATE_TRIGGERS = "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(:name) AND tgtype & 32 > 0"


def ensure(connection: Connection, month: object, table: object = "audit_events") -> str | None:
    """Call the function in a transaction of its own."""
    with connection.begin():
        call = text("SELECT ensure_month_partition(:table, CAST(:month AS date))")
        answer: str | None = connection.scalar(call, {"table": table, "month": month})
    return answer


def test_service_creates_a_month_and_writes_to_it(app: Connection) -> None:
    answer = ensure(app, "2090-01-17")

    with app.begin():
        app.execute(insert(audit_events), an_event_row(event_timestamp=datetime(2090, 1, 31, 23, tzinfo=UTC)))
    assert answer == "created"


def test_month_has_half_open_bounds_the_owner_of_the_table_and_its_own_truncate_trigger(
    app: Connection, owner: Connection
) -> None:
    ensure(app, "2090-12-01")

    name = {"name": "audit_events_2090_12"}
    assert owner.scalar(text(BOUNDS), name) == "FOR VALUES FROM ('2090-12-01') TO ('2091-01-01')"
    assert owner.scalars(text(TRUNCATE_TRIGGERS), name).all() == ["trg_audit_events_no_truncate"]
    owners = owner.scalars(
        text("SELECT DISTINCT tableowner FROM pg_tables WHERE tablename ~ '^audit_events'")
    )
    assert owners.all() == ["datastorage"]


def test_new_partition_has_what_its_siblings_have(app: Connection, owner: Connection) -> None:
    ensure(app, "2091-01-01")

    inherited = text(
        "SELECT count(*) FROM pg_index WHERE indrelid = to_regclass(:name)"
        " UNION ALL SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass(:name) AND NOT tgisinternal"
        " UNION ALL SELECT count(*) FROM pg_constraint WHERE conrelid = to_regclass(:name) AND contype = 'f'"
    )
    new = owner.scalars(inherited, {"name": "audit_events_2091_01"}).all()
    parent = owner.scalars(inherited, {"name": "audit_events"}).all()
    assert new[:2] == parent[:2]
    assert new[2] == 1


def test_existing_month_is_left_as_it_is(app: Connection) -> None:
    ensure(app, "2091-02-01")

    assert ensure(app, "2091-02-28") == "exists"


def test_detached_month_is_left_detached(app: Connection, owner: Connection) -> None:
    ensure(app, "2091-03-01")
    owner.execute(text("ALTER TABLE audit_events DETACH PARTITION audit_events_2091_03"))

    answer = ensure(app, "2091-03-01")

    assert answer == "detached"
    assert owner.scalar(text(BOUNDS), {"name": "audit_events_2091_03"}) is None


def test_month_attached_again_takes_events(app: Connection, owner: Connection) -> None:
    ensure(app, "2091-04-01")
    owner.execute(text("ALTER TABLE audit_events DETACH PARTITION audit_events_2091_04"))
    owner.execute(
        text(
            "ALTER TABLE audit_events ATTACH PARTITION audit_events_2091_04"
            " FOR VALUES FROM ('2091-04-01') TO ('2091-05-01')"
        )
    )
    row = an_event_row(event_timestamp=datetime(2091, 4, 1, tzinfo=UTC))

    with app.begin():
        app.execute(insert(audit_events), row)

    with app.begin():
        stored = select(audit_events.c.event_date).where(audit_events.c.event_id == row["event_id"])
        assert app.scalar(stored) == date(2091, 4, 1)


@pytest.mark.parametrize(
    "table",
    ["notification_audit", "pg_class", "audit_events; DROP TABLE audit_events", "AUDIT_EVENTS", "", None],
)
def test_only_tables_of_the_list_get_partitions(app: Connection, table: str | None) -> None:
    with app.begin(), refused(app, "22023"):
        call = text("SELECT ensure_month_partition(:table, '2091-05-01')")
        app.execute(call, {"table": table})


@pytest.mark.parametrize("month", ["1999-12-31", "2200-01-01", "0044-03-15 BC", None])
def test_months_out_of_reach_are_refused(app: Connection, month: str | None) -> None:
    with app.begin(), refused(app, "22023"):
        app.execute(
            text("SELECT ensure_month_partition('audit_events', CAST(:month AS date))"), {"month": month}
        )


def test_caller_cannot_lead_the_function_astray(app: Connection, owner: Connection) -> None:
    with app.begin():
        app.execute(text("CREATE TEMPORARY TABLE pg_inherits (inhrelid oid, inhparent oid)"))
        app.execute(text("CREATE TEMPORARY TABLE audit_events (day date) PARTITION BY RANGE (day)"))
        app.execute(text("SET LOCAL search_path = pg_temp, pg_catalog"))
        app.execute(text("SET LOCAL DateStyle = 'German, DMY'"))
        app.execute(text("SET LOCAL TimeZone = 'Pacific/Kiritimati'"))
        answer = app.scalar(text("SELECT public.ensure_month_partition('audit_events', DATE '2092-02-03')"))

    assert answer == "created"
    bounds = owner.scalar(text(BOUNDS), {"name": "public.audit_events_2092_02"})
    assert bounds == "FOR VALUES FROM ('2092-02-01') TO ('2092-03-01')"


def test_nobody_else_may_call_the_function(owner: Connection) -> None:
    allowed = owner.scalars(
        text(
            "SELECT (aclexplode(proacl)).grantee::regrole::text FROM pg_proc"
            " WHERE proname = 'ensure_month_partition'"
        )
    )

    assert set(allowed) == {"datastorage", "datastorage_app"}


def test_open_reader_holds_nothing_back(app: Connection, urls: RoleUrls) -> None:
    with engine_for(urls.app) as engine, engine.begin() as reader:
        reader.execute(select(audit_events)).all()

        assert ensure(app, "2092-03-01") == "created"


def test_reader_during_the_creation_is_not_held_back(app: Connection, urls: RoleUrls) -> None:
    with app.begin():
        app.execute(text("SELECT ensure_month_partition('audit_events', '2092-04-01')"))

        with engine_for(urls.app) as engine, engine.begin() as reader:
            reader.execute(text("SET LOCAL lock_timeout = '1s'"))
            reader.execute(select(audit_events)).all()


def test_open_writer_makes_the_function_give_up_before_other_writers_do(
    app: Connection, urls: RoleUrls
) -> None:
    with engine_for(urls.app) as engine, engine.begin() as writer:
        writer.execute(insert(audit_events), an_event_row())
        with app.begin():
            app.execute(text("SET LOCAL statement_timeout = '2s'"))
            with refused(app, "55P03"):
                app.execute(text("SELECT ensure_month_partition('audit_events', '2092-05-01')"))

    assert ensure(app, "2092-05-01") == "created"
