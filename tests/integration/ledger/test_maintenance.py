"""The daily work on the ledger: which checkpoints stay, and what a comparison leaves in the metrics."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, insert, select, text

from datastorage.ledger.comparison import LedgerAudit
from datastorage.ledger.history import History
from datastorage.ledger.maintenance import LedgerMaintenance
from datastorage.partitions.plan import Month
from datastorage.platform.clock import utc_now
from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings
from datastorage.tables import audit_events, ledger_checkpoints
from tests.integration.ledger.conftest import environ_of
from tests.support.event_rows import an_event_row
from tests.support.servers import TestDatabase

COSIGNED = "log.example\n{size}\n{root}\n\n— log.example {line}\n— witness.example {line}\n"


@pytest.fixture
def database(shared: TestDatabase, redis_url: str) -> Iterator[Database]:
    settings = Settings.from_environ(environ_of(shared, redis_url))
    database = Database(settings.database, share=1, metrics=Metrics())
    yield database
    database.close()


def test_of_old_checkpoints_the_last_of_each_hour_and_the_newest_cosigned_one_stay(
    owner: Connection, database: Database
) -> None:
    day = datetime(2026, 1, 10, 12, tzinfo=UTC)
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    times = {1: day, 2: day + minute, 3: day + hour, 4: day + hour + minute, 5: day + 2 * hour}
    cosigned = COSIGNED.format(size=3, root="A" * 43 + "=", line="A" * 96)
    owner.execute(ledger_checkpoints.delete())
    for size, at in (times | {6: utc_now() - hour, 7: utc_now() - minute, 8: utc_now()}).items():
        row = {"tree_size": size, "root": bytes(32), "sealed_at": at}
        if size == 3:
            row |= {"note": cosigned, "published_at": at}
        owner.execute(insert(ledger_checkpoints).values(row))

    forgotten = History(database).forget_old_checkpoints(timedelta(hours=24))

    kept = list(
        owner.scalars(select(ledger_checkpoints.c.tree_size).order_by(ledger_checkpoints.c.tree_size))
    )
    assert kept == [2, 3, 4, 5, 6, 7, 8]
    assert forgotten == 1


def test_differences_are_metrics_and_one_line(
    owner: Connection, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    owner.execute(text("DELETE FROM audit_unsealed"))
    # From this statement on every event has a leaf, or waits for one.
    statement = '{"statement_id":"0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11","type":"backfill"}'
    insertion = "INSERT INTO audit_unsealed (event_id, statement) VALUES (gen_random_uuid(), :statement)"
    owner.execute(text(insertion), {"statement": statement})
    now = utc_now()
    owner.execute(insert(audit_events), an_event_row(event_timestamp=now, event_date=now.date()))
    metrics = Metrics()
    maintenance = LedgerMaintenance(
        History(database),
        LedgerAudit(database),
        lambda: {Month.of(now)},
        is_sealer=lambda: True,
        metrics=metrics,
        clock=utc_now,
        first_after=timedelta(),
    )

    with caplog.at_level(logging.INFO, logger="datastorage.ledger.maintenance"):
        maintenance.run_once()
        maintenance.run_once()

    labels = {"kind": "event_without_leaf"}
    found = metrics.registry.get_sample_value("datastorage_ledger_audit_differences", labels)
    assert found == 1
    [line] = caplog.records
    assert line.getMessage() == "Ledger audit found differences"
    assert metrics.registry.get_sample_value("datastorage_ledger_audit_timestamp") == pytest.approx(
        now.timestamp(), abs=60
    )


def test_only_the_process_that_seals_does_it(database: Database) -> None:
    metrics = Metrics()
    maintenance = LedgerMaintenance(
        History(database),
        LedgerAudit(database),
        set,
        is_sealer=lambda: False,
        metrics=metrics,
        clock=utc_now,
        first_after=timedelta(),
    )

    maintenance.run_once()

    assert metrics.registry.get_sample_value("datastorage_ledger_audit_timestamp") in {None, 0}
