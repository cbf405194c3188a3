from collections.abc import Iterator

import pytest
from sqlalchemy import URL, Connection

from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings
from datastorage.workflows.store import WorkflowStore
from tests.support.schema import engine_for
from tests.support.servers import TestDatabase


def _rolled_back(url: URL) -> Iterator[Connection]:
    with engine_for(url) as engine, engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


@pytest.fixture
def as_owner(database: TestDatabase) -> Iterator[Connection]:
    """A transaction of the schema owner that leaves nothing behind."""
    yield from _rolled_back(database.owner_url)


@pytest.fixture
def as_app(database: TestDatabase) -> Iterator[Connection]:
    """A transaction of the service's role that leaves nothing behind."""
    yield from _rolled_back(database.app_url)


@pytest.fixture(scope="module")
def store(settings: Settings) -> Iterator[WorkflowStore]:
    """The catalogue, as the service reads it."""
    database = Database(settings.database, share=2, metrics=Metrics())
    yield WorkflowStore(database)
    database.close()
