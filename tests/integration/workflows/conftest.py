from collections.abc import Iterator

import pytest
from sqlalchemy import URL, Connection

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
