"""Databases with a ledger of their own: each has one."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from datastorage.ledger.store import LedgerStore
from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings
from tests.support.golden_log import owner_of
from tests.support.servers import Servers, TestDatabase, migrated_database


def environ_of(database: TestDatabase, redis_url: str) -> dict[str, str]:
    """Return the variables that commands need."""
    url = database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
    return {"DATASTORAGE_DATABASE_URL": url, "DATASTORAGE_REDIS_URL": redis_url}


@contextmanager
def store_of(database: TestDatabase, redis_url: str) -> Iterator[LedgerStore]:
    """Yield the store of a ledger."""
    settings = Settings.from_environ(environ_of(database, redis_url))
    connections = Database(settings.database, share=2, metrics=Metrics())
    yield LedgerStore(connections)
    connections.close()


@pytest.fixture(scope="module")
def shared(servers: Servers) -> Iterator[TestDatabase]:
    """A database of this module's own."""
    with migrated_database(servers.postgres_url) as migrated:
        yield migrated


@pytest.fixture
def empty(servers: Servers) -> Iterator[TestDatabase]:
    """A database whose ledger has no leaf."""
    with migrated_database(servers.postgres_url) as migrated:
        yield migrated


@pytest.fixture
def owner(shared: TestDatabase) -> Iterator[Connection]:
    with owner_of(shared) as connection:
        yield connection


@pytest.fixture
def store(shared: TestDatabase, redis_url: str) -> Iterator[LedgerStore]:
    """The store of a ledger for which nothing waits."""
    with store_of(shared, redis_url) as store:
        store.seal(1000)
        yield store
