from collections.abc import Iterator
from datetime import timedelta

import pytest

from datastorage.audit.reader import AuditReader
from datastorage.platform.db.database import Database
from datastorage.platform.exports import Exports
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
    exports = Exports("audit", maximum=2, longest=timedelta(minutes=1), metrics=metrics)
    return AuditReader(db, exports, metrics, max_page_bytes=settings.limits.max_page_bytes)
