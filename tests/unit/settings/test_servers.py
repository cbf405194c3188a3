"""Who we are towards PostgreSQL and Redis: certificates, users, Sentinel."""

from pathlib import Path

import pytest

from datastorage.settings import Settings
from tests.unit.settings.conftest import REDIS_SECRET, URLS, Fail, Load


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """Files for ``ssl_cert`` and ``ssl_key``."""
    files = {name: tmp_path / f"{name}.pem" for name in ("ssl_cert", "ssl_key")}
    for file in files.values():
        file.touch()
    return {name: str(file) for name, file in files.items()}


def test_client_certificate_takes_the_place_of_the_password(load: Load, certificate: dict[str, str]) -> None:
    database = load(database={**certificate, "secretsFile": None, "passwordKey": None}).database

    assert database.password == ""
    assert database.url.query == {
        "sslmode": "prefer",
        "sslcert": certificate["ssl_cert"],
        "sslkey": certificate["ssl_key"],
    }


def test_password_is_read_beside_a_client_certificate_when_it_is_configured(
    fail: Fail, certificate: dict[str, str]
) -> None:
    error = fail(database={**certificate, "passwordKey": None})

    assert error.problems == ("database passwordKey required",)


def test_url_names_the_client_certificate(certificate: dict[str, str]) -> None:
    query = f"sslmode=require&sslcert={certificate['ssl_cert']}&sslkey={certificate['ssl_key']}"
    environ = URLS | {"DATASTORAGE_DATABASE_URL": f"postgresql://app@db/history?{query}"}

    settings = Settings.from_environ(environ)

    assert (str(settings.database.ssl_cert), str(settings.database.ssl_key)) == tuple(certificate.values())
    assert settings.warnings == ()


def test_redis_url_may_name_a_user() -> None:
    environ = URLS | {"DATASTORAGE_REDIS_URL": "redis://da%3Ata:hush@cache"}

    redis = Settings.from_environ(environ).redis

    assert (redis.username, redis.password) == ("da:ta", "hush")


def test_user_of_redis_comes_from_the_secret_file(load: Load, tmp_path: Path) -> None:
    secrets = tmp_path / "redis-user.yaml"
    secrets.write_text("login: queue\npassword: hush\n")

    redis = load(redis={"secretsFile": str(secrets), "usernameKey": "login", "username": "other"}).redis

    assert (redis.username, redis.password) == ("queue", "hush")


def test_sentinel_replaces_the_address_and_has_a_login_of_its_own(load: Load, tmp_path: Path) -> None:
    secrets = tmp_path / "both.yaml"
    secrets.write_text(f"password: {REDIS_SECRET}\nwatchers: hidden-word\n")
    sentinel = {"master": "main", "addrs": ["a:26379"], "username": "watch", "passwordKey": "watchers"}

    redis = load(redis={"addr": None, "secretsFile": str(secrets), "sentinel": sentinel}).redis

    assert redis.addr is None
    assert (redis.password, redis.sentinel.username, redis.sentinel.password) == (
        REDIS_SECRET,
        "watch",
        "hidden-word",
    )
    assert "hidden-word" not in repr(redis)


def test_password_of_the_sentinels_is_read_although_that_of_redis_is_in_the_environment(
    fail: Fail,
) -> None:
    sentinel = {"master": "main", "addrs": ["a:26379"], "passwordKey": "watchers"}

    error = fail({"REDIS_PASSWORD": "hush"}, redis={"sentinel": sentinel, "passwordKey": None})

    assert error.message == "Failed to load secrets"
    [problem] = error.problems
    assert problem.startswith("redis sentinel.passwordKey: ")
    assert problem.endswith("has no key watchers")


def test_strict_security_warns_about_redis_without_tls(load: Load) -> None:
    settings = load(security={"strict": True}, database={"ssl_mode": "require"})

    assert settings.warnings == (
        "redis.tls.enabled is false: security.strict wants passwords and queued records encrypted",
    )


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("::", "::"),
        ("[::]", "::"),
        ("127.0.0.1", "127.0.0.1"),
        ("db-1.local", "db-1.local"),
    ],
)
def test_host_may_stand_in_brackets(load: Load, written: str, host: str) -> None:
    assert load(server={"host": written}).server.host == host


@pytest.mark.parametrize(
    ("authority", "servers"),
    [
        ("app:p%40ss@db-1:5432,db-2:5433", (("db-1", 5432), ("db-2", 5433))),
        ("app@db-1,[::1]:99,192.0.2.1", (("db-1", 5432), ("::1", 99), ("192.0.2.1", 5432))),
    ],
)
def test_url_names_the_servers_of_a_cluster(authority: str, servers: tuple[tuple[str, int], ...]) -> None:
    environ = URLS | {"DB_PASSWORD": "hush", "DATASTORAGE_DATABASE_URL": f"postgresql://{authority}/history"}

    database = Settings.from_environ(environ).database

    assert database.servers == servers
    assert database.url.query["target_session_attrs"] == "read-write"
    assert database.url.query["host"] == ",".join(host for host, _ in servers)
    assert database.url.query["port"] == ",".join(str(port) for _, port in servers)


def test_host_of_a_file_may_be_several(load: Load) -> None:
    database = load(
        database={"host": "db-1, db-2:5433", "port": 6432, "target_session_attrs": "any"}
    ).database

    assert database.place == "db-1:6432 or db-2:5433"
    assert "target_session_attrs" not in database.url.query


def test_url_may_want_the_primary() -> None:
    url = "postgresql://app:hush@db/history?target_session_attrs=primary"

    settings = Settings.from_environ(URLS | {"DATASTORAGE_DATABASE_URL": url})

    assert settings.warnings == ()
    assert settings.database.url.query["target_session_attrs"] == "primary"


@pytest.mark.parametrize("host", ["db-1,", "db-1,/run/postgresql", "db-1:0,db-2", "db-1:99999,db-2"])
def test_list_of_hosts_is_refused_as_a_whole(fail: Fail, host: str) -> None:
    assert fail(database={"host": host}).problems == ("database host must be IP addresses or names",)


def test_variables_of_libpq_are_named_in_one_warning() -> None:
    settings = Settings.from_environ(URLS | {"PGSERVICE": "other", "PGHOST": "elsewhere"})

    assert settings.warnings == ("environment variables of libpq are ignored: PGHOST, PGSERVICE",)
