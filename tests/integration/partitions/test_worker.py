import logging
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, text

from datastorage.errors import DatabaseError
from datastorage.partitions.store import PartitionStore
from datastorage.partitions.worker import PartitionWorker
from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings


def at(year: int, month: int) -> datetime:
    return datetime(year, month, 15, tzinfo=UTC)


def months_ahead(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("datastorage_partition_months_ahead")


def unavailable(metrics: Metrics, month: str) -> float | None:
    labels = {"partition": month, "status": "unavailable"}
    return metrics.registry.get_sample_value("datastorage_partition_status", labels)


def messages(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [
        (record.getMessage(), record.__dict__["partition"])
        for record in caplog.records
        if record.__dict__["table"] == "audit_events"
    ]


def test_months_become_ready_and_the_metric_tells(
    store: PartitionStore, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()

    with caplog.at_level(logging.INFO, logger="datastorage.partitions"):
        PartitionWorker(store, settings, metrics, lambda: at(2060, 1)).run_once()

    created = ["2059_12", "2060_01", "2060_02", "2060_03", "2060_04"]
    assert messages(caplog) == [("Partition created", month) for month in created]
    assert months_ahead(metrics) == 3
    assert unavailable(metrics, "2060_02") is None


def test_second_round_finds_everything_and_says_nothing(
    store: PartitionStore, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    worker = PartitionWorker(store, settings, metrics, lambda: at(2061, 1))
    worker.run_once()
    caplog.clear()

    worker.run_once()

    assert messages(caplog) == []
    assert months_ahead(metrics) == 3


def test_other_process_that_creates_nothing_still_counts(store: PartitionStore, settings: Settings) -> None:
    PartitionWorker(store, settings, Metrics(), lambda: at(2062, 1)).run_once()
    metrics = Metrics()

    PartitionWorker(store, settings, metrics, lambda: at(2062, 1)).run_once()

    assert months_ahead(metrics) == 3


def test_detached_month_shows_until_it_is_back(
    store: PartitionStore, settings: Settings, owner: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    worker = PartitionWorker(store, settings, metrics, lambda: at(2063, 1))
    worker.run_once()
    owner.execute(text("ALTER TABLE audit_events DETACH PARTITION audit_events_2063_02"))
    caplog.clear()

    worker.run_once()
    while_detached = [unavailable(metrics, "2063_02"), months_ahead(metrics)]
    owner.execute(
        text(
            "ALTER TABLE audit_events ATTACH PARTITION audit_events_2063_02"
            " FOR VALUES FROM ('2063-02-01') TO ('2063-03-01')"
        )
    )
    worker.run_once()

    assert while_detached == [1, 0]
    assert [unavailable(metrics, "2063_02"), months_ahead(metrics)] == [0, 3]
    assert ("Partition is detached", "2063_02") in messages(caplog)


def test_month_that_cannot_be_created_is_logged_and_shown(
    store: PartitionStore, settings: Settings, owner: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    bounds = "FROM ('2064-03-01') TO ('2064-05-01')"
    owner.execute(text(f"CREATE TABLE spring_events PARTITION OF audit_events FOR VALUES {bounds}"))
    metrics = Metrics()

    PartitionWorker(store, settings, metrics, lambda: at(2064, 1)).run_once()

    assert unavailable(metrics, "2064_03") == 1
    assert months_ahead(metrics) == 1
    assert ("Partition could not be created", "2064_03") in messages(caplog)


def test_status_that_a_write_raised_is_not_lowered(store: PartitionStore, settings: Settings) -> None:
    metrics = Metrics()
    metrics.partition_status.labels("2065_01", "unavailable").set(1)

    PartitionWorker(store, settings, metrics, lambda: at(2065, 1)).run_once()

    assert unavailable(metrics, "2065_01") == 1


def test_unreachable_database_is_an_error_of_the_round(environ: dict[str, str]) -> None:
    nowhere = environ | {"DATASTORAGE_DATABASE_URL": "postgresql://datastorage_app:x@127.0.0.1:1/none"}
    settings = Settings.from_environ(nowhere)
    database = Database(settings.database, share=1, metrics=Metrics())

    with pytest.raises(DatabaseError):
        PartitionWorker(PartitionStore(database), settings, Metrics(), lambda: at(2066, 1)).run_once()
    database.close()
