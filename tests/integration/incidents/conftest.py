from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from tests.support.schema import RoleUrls, engine_for, fresh_database, upgrade


@pytest.fixture(scope="module")
def urls(postgres_url: str) -> Iterator[RoleUrls]:
    """A migrated database for one module."""
    with fresh_database(postgres_url) as urls:
        upgrade(urls.owner)
        yield urls


@pytest.fixture
def owner(urls: RoleUrls) -> Iterator[Connection]:
    with engine_for(urls.owner) as engine, engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


@pytest.fixture
def app(urls: RoleUrls) -> Iterator[Connection]:
    with engine_for(urls.app) as engine, engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()
