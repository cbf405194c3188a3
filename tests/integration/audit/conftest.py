from collections.abc import Iterator

import pytest

from datastorage.audit.reader import AuditReader
from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings

CONNECTIONS = 3


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def db(settings: Settings, metrics: Metrics) -> Iterator[Database]:
    """A pool of its own, as large as a small process has."""
    database = Database(settings.database, share=CONNECTIONS, metrics=metrics)
    yield database
    database.close()


@pytest.fixture
def reader(db: Database, metrics: Metrics, settings: Settings) -> AuditReader:
    return AuditReader(db, metrics, max_page_bytes=settings.limits.max_page_bytes)
