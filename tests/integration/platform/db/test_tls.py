"""Certificates of both sides, on a real server.

The embedded server has no TLS: a terminator in front of it speaks PostgreSQL's way into TLS and asks for
the client's certificate, and the server trusts whom it lets through.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, select

from datastorage.embedded.postgres import EmbeddedPostgres
from datastorage.errors import DatabaseError
from datastorage.platform.db.database import Database
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings
from tests.support.tls import Authority, terminated

ROLE = "certified"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as running:
        rules = running.data_dir / "cluster" / "pg_hba.conf"
        rules.write_text(f"host all {ROLE} 127.0.0.1/32 trust\n{rules.read_text()}")
        with psycopg.connect(running.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {ROLE} LOGIN")
            connection.execute("SELECT pg_reload_conf()")
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def port(server: EmbeddedPostgres, authority: Authority) -> Iterator[int]:
    """Leads to the server for clients with a certificate of the same authority."""
    with terminated(server.port, authority.issue("localhost"), authority.ca_file) as port:
        yield port


def files_of(authority: Authority) -> dict[str, str]:
    pair = authority.issue("client@example.com", common_name=ROLE)
    return {"root_cert": str(authority.ca_file), "cert": str(pair.cert), "key": str(pair.key)}


def who(environ: Mapping[str, str]) -> str:
    """Log in as the service does, and return as whom."""
    everything = {"DATASTORAGE_REDIS_URL": "redis://localhost", **environ}
    settings = Settings.from_environ(everything).database
    database = Database(settings, share=1, metrics=Metrics(), application_name="test")
    try:
        return database.read(
            lambda connection: str(connection.execute(select(func.current_user())).scalar_one())
        )
    finally:
        database.close()


def test_client_certificate_logs_in_without_a_password(port: int, authority: Authority) -> None:
    environ = {
        "DB_HOST": "localhost",
        "DB_PORT": str(port),
        "DB_NAME": "postgres",
        "DB_USER": ROLE,
        "DB_SSL_MODE": "verify-full",
        **{f"DATASTORAGE_DATABASE_SSL_{name}".upper(): file for name, file in files_of(authority).items()},
    }

    assert who(environ) == ROLE


def test_url_names_the_client_certificate(port: int, authority: Authority) -> None:
    query = "&".join(f"ssl{name.replace('_', '')}={file}" for name, file in files_of(authority).items())
    url = f"postgresql://{ROLE}@localhost:{port}/postgres?sslmode=verify-full&{query}"

    assert who({"DATASTORAGE_DATABASE_URL": url}) == ROLE


def test_without_client_certificate_the_door_stays_shut(port: int, authority: Authority) -> None:
    query = f"sslmode=verify-full&sslrootcert={authority.ca_file}"

    with pytest.raises(DatabaseError):
        who({"DATASTORAGE_DATABASE_URL": f"postgresql://{ROLE}@localhost:{port}/postgres?{query}"})


def test_certificate_of_another_authority_is_not_trusted(port: int, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    query = f"sslmode=verify-full&sslrootcert={stranger.ca_file}"

    with pytest.raises(DatabaseError) as caught:
        who({"DATASTORAGE_DATABASE_URL": f"postgresql://{ROLE}@localhost:{port}/postgres?{query}"})

    assert "certificate verify failed" in str(caught.value.__cause__)


def test_host_name_is_verified(port: int, authority: Authority) -> None:
    query = f"sslmode=verify-full&sslrootcert={authority.ca_file}"

    with pytest.raises(DatabaseError) as caught:
        who({"DATASTORAGE_DATABASE_URL": f"postgresql://{ROLE}@127.0.0.1:{port}/postgres?{query}"})

    assert 'does not match host name "127.0.0.1"' in str(caught.value.__cause__)
