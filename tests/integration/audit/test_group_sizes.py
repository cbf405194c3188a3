"""Group commit on PostgreSQL: rows of one group have one transaction, and a large event has its own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import ColumnElement, Engine, literal_column, select, text

from datastorage.audit.event import AuditEvent
from datastorage.audit.inserts import inserts
from datastorage.audit.model import Written
from datastorage.audit.store import AuditStore
from datastorage.audit.tables import audit_events
from datastorage.audit.writer import LARGE_BYTES, GroupWriter
from datastorage.platform.db.database import Database
from datastorage.settings import Settings
from tests.support.builders import an_audit_event, unique
from tests.support.group_writes import PATIENCE_SECONDS, result, submitter

LARGE = f'{{"x":"{"y" * LARGE_BYTES}"}}'


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=8) as executor:
        yield executor


def test_small_events_are_not_written_with_a_large_one(
    db: Database, settings: Settings, owner_engine: Engine, threads: ThreadPoolExecutor
) -> None:
    ours, now = unique(), datetime.now(UTC)
    store = AuditStore(
        db,
        settings.audit,
        settings.limits,
        lock_timeout=settings.database.write_lock_timeout,
        inserts=inserts(feed_ledger=True),
    )
    submit = submitter(GroupWriter(store.append, max_wait_seconds=PATIENCE_SECONDS), threads)

    def event(action: str, payload: str) -> AuditEvent:
        return an_audit_event(
            correlation_id=ours, event_action=action, event_data=payload, event_timestamp=now
        )

    held_up = [event("first", "{}"), event("large", LARGE)]
    waiting = [event("second", "{}"), event("large too", LARGE), event("third", "{}")]
    with owner_engine.connect().execution_options(isolation_level="READ COMMITTED") as locking:
        locking.execute(text("LOCK TABLE audit_events IN SHARE MODE"))
        written = [submit(each) for each in (*held_up, *waiting)]
        locking.rollback()
    assert [result(each) for each in written] == [Written.CREATED] * 5

    transactions = dict(_transactions(owner_engine, ours))
    assert transactions["second"] == transactions["third"]
    assert len(set(transactions.values())) == 4


def _transactions(engine: Engine, correlation_id: str) -> list[tuple[str, str]]:
    """Return by which transaction each event was stored."""
    transaction: ColumnElement[str] = literal_column("audit_events.xmin::text")
    found = select(audit_events.c.event_action, transaction)
    with engine.connect() as connection:
        rows = connection.execute(found.where(audit_events.c.correlation_id == correlation_id))
        return [(action, str(number)) for action, number in rows]
