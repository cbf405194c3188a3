"""Four families of fixtures: servers, database, settings, service."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine

from datastorage.settings import Settings
from tests.support.http import Api
from tests.support.servers import Servers, TestDatabase, migrated_database, running_servers
from tests.support.service import ServiceProcess
from tests.support.started import StartService, started_services


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """PostgreSQL and Redis, real ones."""
    with running_servers(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres_url(servers: Servers) -> str:
    """A superuser's URL."""
    return servers.postgres_url


@pytest.fixture(scope="session")
def redis_url(servers: Servers) -> str:
    """The URL of Redis."""
    return servers.redis_url


@pytest.fixture(scope="session")
def database(servers: Servers) -> Iterator[TestDatabase]:
    """One migrated database for the whole session; tests own their rows by unique ids."""
    with migrated_database(servers.postgres_url) as migrated:
        yield migrated


@pytest.fixture(scope="session")
def owner_engine(database: TestDatabase) -> Iterator[Engine]:
    """Connections as the schema owner, to look at what was stored."""
    engine = create_engine(database.owner_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture
def owner(owner_engine: Engine) -> Iterator[Connection]:
    """One autocommitting connection as the schema owner."""
    with owner_engine.connect() as connection:
        yield connection


@pytest.fixture(scope="session")
def settings(database: TestDatabase, redis_url: str) -> Settings:
    """Defaults, on the test servers."""
    return Settings.from_environ(
        {
            "DATASTORAGE_DATABASE_URL": _plain(database.app_url),
            "DATASTORAGE_REDIS_URL": redis_url,
        }
    )


@pytest.fixture(scope="module")
def start_service(
    database: TestDatabase, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartService]:
    """Start further services: ``start_service(LIMITS_MAX_EVENT_AGE="off")``; stopped behind the module.

    Not later: the connections that they hold would be missed by the services of the modules that follow.
    """
    with started_services(database, redis_url, tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def service(
    database: TestDatabase, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    """The service with default settings, shared by all tests of the session."""
    with started_services(database, redis_url, tmp_path_factory) as start:
        yield start()


@pytest.fixture(scope="session")
def api(service: ServiceProcess) -> Api:
    """A client of the shared service."""
    return service.api


def _plain(url: object) -> str:
    rendered: str = url.set(drivername="postgresql").render_as_string(hide_password=False)  # type: ignore[attr-defined]
    return rendered
