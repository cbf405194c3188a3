from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from datastorage.partitions.store import PartitionStore
from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings
from tests.support.schema import RoleUrls, engine_for, fresh_database, upgrade


@pytest.fixture(scope="module")
def urls(postgres_url: str) -> Iterator[RoleUrls]:
    """A database of their own for tests that create, detach and lock partitions."""
    with fresh_database(postgres_url) as urls:
        upgrade(urls.owner)
        yield urls


@pytest.fixture
def owner(urls: RoleUrls) -> Iterator[Connection]:
    with engine_for(urls.owner) as engine, engine.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


@pytest.fixture
def app(urls: RoleUrls) -> Iterator[Connection]:
    with engine_for(urls.app) as engine, engine.connect() as connection:
        yield connection


@pytest.fixture
def environ(urls: RoleUrls) -> dict[str, str]:
    """What the service would find in its environment; Redis is never asked."""
    url = urls.app.set(drivername="postgresql").render_as_string(hide_password=False)
    return {"DATASTORAGE_DATABASE_URL": url, "DATASTORAGE_REDIS_URL": "redis://127.0.0.1:1/0"}


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    return Settings.from_environ(environ)


@pytest.fixture
def store(settings: Settings) -> Iterator[PartitionStore]:
    database = Database(settings.database, share=4, metrics=Metrics())
    yield PartitionStore(database)
    database.close()
