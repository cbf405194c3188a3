"""A server that is there and lets nobody in: operators are told why, whatever the driver keeps to itself."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import Connection, select

from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.embedded.stack import APP_ROLE
from datastorage.errors import Unavailable
from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings
from tests.integration.platform.db.conftest import OpenDatabase

FEW = {"max_connections": "5", "superuser_reserved_connections": "1", "reserved_connections": "0"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), settings=FEW) as server:
        server.create_role(APP_ROLE, "right")
        server.create_database("events")
        yield server


@pytest.fixture
def open_there(open_database: OpenDatabase, server: EmbeddedPostgres) -> OpenDatabase:
    """Open pools on that server; what is wrong with them is named."""

    def open_it(**changed: str) -> Database:
        there = {"host": "127.0.0.1", "port": server.port, "name": "events", "user": APP_ROLE}
        return open_database(**(there | {"password": "right", "connect_timeout": timedelta(2)} | changed))

    return open_it


def reason_of_failure(database: Database) -> str:
    def work(connection: Connection) -> None:
        connection.execute(select(1))

    with pytest.raises(Unavailable) as failure:
        database.write(work)
    assert failure.value.sqlstate is None
    return failure.value.reason


def as_superuser(server: EmbeddedPostgres, statement: str) -> None:
    with psycopg.connect(server.url("events"), autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    "wrong",
    [{"password": "wrong"}, {"user": "nobody"}, {"name": "nowhere"}],
    ids=["password", "role", "database"],
)
def test_wrong_login_is_a_matter_of_configuration(
    open_there: OpenDatabase, metrics: Metrics, wrong: dict[str, str]
) -> None:
    assert reason_of_failure(open_there(**wrong)) == "misconfigured"

    counted = metrics.registry.get_sample_value("datastorage_db_errors_total", {"reason": "misconfigured"})
    assert counted == 1


@pytest.mark.parametrize(
    ("forbid", "allow"),
    [
        (f"ALTER ROLE {APP_ROLE} NOLOGIN", f"ALTER ROLE {APP_ROLE} LOGIN"),
        ("REVOKE CONNECT ON DATABASE events FROM PUBLIC", "GRANT CONNECT ON DATABASE events TO PUBLIC"),
    ],
    ids=["no login", "no right to connect"],
)
def test_forbidden_login_is_a_matter_of_configuration(
    open_there: OpenDatabase, server: EmbeddedPostgres, forbid: str, allow: str
) -> None:
    as_superuser(server, forbid)

    reason = reason_of_failure(open_there())

    as_superuser(server, allow)
    assert reason == "misconfigured"


def test_limit_of_the_role_is_an_overload(open_there: OpenDatabase, server: EmbeddedPostgres) -> None:
    as_superuser(server, f"ALTER ROLE {APP_ROLE} CONNECTION LIMIT 0")

    reason = reason_of_failure(open_there())

    as_superuser(server, f"ALTER ROLE {APP_ROLE} CONNECTION LIMIT -1")
    assert reason == "db_overloaded"


@pytest.mark.parametrize("count", [4, 5], ids=["all but the reserved", "all"])
def test_connections_all_in_use_are_an_overload(
    open_there: OpenDatabase, server: EmbeddedPostgres, count: int
) -> None:
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(psycopg.connect(server.url("events")))

        reason = reason_of_failure(open_there())

    assert reason == "db_overloaded"


def test_server_that_is_gone_is_unreachable(open_database: OpenDatabase, settings: Settings) -> None:
    database = open_database(host="127.0.0.1", port=1, name=settings.database.name)

    assert reason_of_failure(database) == "db_unreachable"
