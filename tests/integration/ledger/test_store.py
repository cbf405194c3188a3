"""Sealing: what waits in the outbox gets its leaves, each once, and the tree is the golden one."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import (
    TEXT,
    Connection,
    NullPool,
    cast,
    create_engine,
    delete,
    func,
    insert,
    literal,
    select,
)

from datastorage.ledger.leaf import Kind
from datastorage.ledger.store import LedgerStore
from datastorage.ledger.tiles import tiles_of
from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings
from datastorage.tables import (
    audit_events,
    audit_unsealed,
    ledger_checkpoints,
    ledger_entries,
    ledger_statements,
    ledger_tiles,
)
from tests.support.event_rows import an_event_row
from tests.support.ledger_vectors import SIZE, content, document, leaves, texts
from tests.support.servers import Servers, TestDatabase, migrated_database


@pytest.fixture(scope="module")
def shared(servers: Servers) -> Iterator[TestDatabase]:
    """A database of this module's own: each has one ledger."""
    with migrated_database(servers.postgres_url) as migrated:
        yield migrated


@pytest.fixture
def empty(servers: Servers) -> Iterator[TestDatabase]:
    """A database whose ledger has no leaf."""
    with migrated_database(servers.postgres_url) as migrated:
        yield migrated


@contextmanager
def store_of(ledger: TestDatabase, redis_url: str) -> Iterator[LedgerStore]:
    url = ledger.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
    settings = Settings.from_environ({"DATASTORAGE_DATABASE_URL": url, "DATASTORAGE_REDIS_URL": redis_url})
    database = Database(settings.database, share=1, metrics=Metrics())
    yield LedgerStore(database)
    database.close()


@contextmanager
def owner_of(ledger: TestDatabase) -> Iterator[Connection]:
    engine = create_engine(ledger.owner_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def store(shared: TestDatabase, redis_url: str) -> Iterator[LedgerStore]:
    """The store of a ledger for which nothing waits."""
    with store_of(shared, redis_url) as store:
        store.seal(1000)
        yield store


@pytest.fixture
def owner(shared: TestDatabase) -> Iterator[Connection]:
    with owner_of(shared) as connection:
        yield connection


def store_golden_log(owner: Connection) -> None:
    """Store what the vectors have, in their order, as writers would have."""
    owner.execute(delete(audit_unsealed))
    for month in (date(2026, 10, 1), date(2026, 11, 1)):
        owner.execute(select(func.ensure_month_partition("audit_events", month)))
    for line in texts():
        members = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        if "statement_id" in members:
            statement_id = msgspec.json.decode(members["statement_id"])
            waiting = {"event_id": statement_id, "event_date": None, "statement": line.decode()}
        else:
            row = {
                name.replace("version", "event_version"): as_sql(name, raw) for name, raw in members.items()
            }
            owner.execute(insert(audit_events).values(row))
            waiting = {"event_id": row["event_id"], "event_date": row["event_date"], "statement": None}
        owner.execute(insert(audit_unsealed).values(waiting))


def as_sql(name: str, raw: msgspec.Raw) -> Any:
    column = audit_events.c[name.replace("version", "event_version")]
    value = (
        bytes(raw).decode()
        if name.startswith("event_data") or name == "event_metadata"
        else msgspec.json.decode(raw)
    )
    return None if value is None else cast(literal(str(value), TEXT), column.type)


def count(owner: Connection, table: Any) -> int:
    return int(owner.scalar(select(func.count()).select_from(table)) or 0)


def test_events_and_statements_of_the_vectors_become_the_golden_log(
    empty: TestDatabase, redis_url: str
) -> None:
    with owner_of(empty) as owner, store_of(empty, redis_url) as store:
        store_golden_log(owner)

        rounds = [store.seal(limit) for limit in (1, 7, 249, 100)]

        assert [(each.size, each.leaves, each.missing) for each in rounds if each] == [
            (1, 1, ()), (8, 7, ()), (257, 249, ()), (SIZE, 23, ()),
        ]  # fmt: skip
        assert_golden(owner)


def assert_golden(owner: Connection) -> None:
    assert count(owner, audit_unsealed) == 0
    roots = owner.execute(select(ledger_checkpoints.c.tree_size, ledger_checkpoints.c.root)).all()
    assert {str(size): root.hex() for size, root in roots} == {
        size: document("roots.json")[size] for size in ("1", "8", "257", "280")
    }
    entries = owner.execute(select(ledger_entries).order_by(ledger_entries.c.leaf_index)).all()
    assert [row.leaf_index for row in entries] == list(range(SIZE))
    assert [
        row.kind.to_bytes(1) + row.event_id.bytes + row.correlation_tag.to_bytes(8, signed=True) + row.digest
        for row in entries
    ] == list(leaves())
    kept = owner.execute(select(ledger_tiles.c.level, ledger_tiles.c.n, ledger_tiles.c.hashes)).all()
    full_or_upper = [tile for level in (0, 1) for tile in tiles_of(level, SIZE) if level or tile.width == 256]
    assert sorted(kept) == [(tile.level, tile.number, content(f"log/{tile.path}")) for tile in full_or_upper]
    statements = owner.scalars(select(ledger_statements.c.statement).order_by(ledger_statements.c.leaf_index))
    assert [each.encode() for each in statements] == [t for t in texts() if t.startswith(b'{"statement_id"')]


def a_statement(**members: str) -> str:
    return msgspec.json.encode({"statement_id": uuid4()} | members).decode()


def test_empty_store_is_complete_from_the_beginning(owner: Connection, store: LedgerStore) -> None:
    idle = store.seal(10)

    assert idle is not None
    assert idle.leaves == 0
    [statement] = owner.execute(select(ledger_statements).where(ledger_statements.c.type == "backfill")).all()
    members = msgspec.json.decode(statement.statement)
    assert list(members) == ["statement_id", "type", "at", "by", "months", "rows", "first_leaf", "last_leaf"]
    assert (statement.leaf_index, members["rows"], members["months"]) == (0, 0, [])
    assert (members["first_leaf"], members["last_leaf"], members["by"]) == (None, None, "datastorage")


def test_event_that_is_not_found_waits_and_holds_up_nobody(owner: Connection, store: LedgerStore) -> None:
    lost, found = an_event_row(), an_event_row()
    owner.execute(insert(audit_events), found)
    owner.execute(insert(audit_unsealed).values(event_id=uuid4(), statement="nonsense"))
    owner.execute(insert(audit_unsealed).values(event_id=uuid4(), statement=a_statement(type="x" * 101)))
    for row in (lost, found):
        owner.execute(insert(audit_unsealed).values(event_id=row["event_id"], event_date=row["event_date"]))

    first = store.seal(10)
    assert first is not None
    again = store.seal(10, skipped=first.missing)
    owner.execute(insert(audit_events), lost)
    later = store.seal(10)

    assert (first.leaves, len(first.missing)) == (1, 3)
    assert again is not None
    assert (again.leaves, again.missing) == (0, ())
    assert later is not None
    assert (later.size, later.leaves, len(later.missing)) == (first.size + 1, 1, 2)
    newest = owner.execute(select(ledger_entries).where(ledger_entries.c.leaf_index == first.size)).one()
    assert (newest.event_id, newest.kind) == (lost["event_id"], Kind.EVENT)


def test_one_seals_at_a_time(shared: TestDatabase, owner: Connection, store: LedgerStore) -> None:
    row = an_event_row()
    owner.execute(insert(audit_events), row)
    owner.execute(insert(audit_unsealed).values(event_id=row["event_id"], event_date=row["event_date"]))
    key = func.hashtextextended("datastorage.ledger", 0)

    with owner_of(shared) as other:
        other.execute(select(func.pg_advisory_lock(key)))
        refused = store.seal(10)
        other.execute(select(func.pg_advisory_unlock(key)))
    after = store.seal(10)

    assert refused is None
    assert after is not None
    assert after.leaves == 1
