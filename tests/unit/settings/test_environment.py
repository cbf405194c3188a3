"""URLs and variables: which wins, and how each one fails."""

from pathlib import Path

import pytest

from datastorage.settings import (
    KEYS,
    SECRET_VARIABLES,
    Settings,
    SettingsError,
    environment,
    ignored_variables,
)
from datastorage.settings.edits import within_two_edits
from datastorage.settings.sources import URLS as URL_VARIABLES
from tests.unit.settings.conftest import DATABASE_SECRET, REDIS_SECRET, URLS, Fail, Load

CLIENT_VARIABLES = [
    f"DATASTORAGE_{name}"
    for name in [
        "URL",
        "HTTP_PORT",
        "METRICS_PORT",
        "TIMEOUT",
        "HEALTH_URL",
        "TOKEN",
        "TOKEN_FILE",
        "CA_FILE",
        "SERVICE_HOST",
        "SERVICE_PORT",
    ]
]


def test_without_file_and_servers_both_ways_out_are_named() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(None, {})

    assert caught.value.message == "CONFIG_PATH environment variable required"
    assert "DATASTORAGE_DATABASE_URL and DATASTORAGE_REDIS_URL" in caught.value.problems[0]
    assert "database host required" in caught.value.problems
    assert "redis secretsFile required" in caught.value.problems


def test_one_missing_server_is_enough_to_ask_for_a_file() -> None:
    with pytest.raises(SettingsError, match="CONFIG_PATH environment variable required"):
        Settings.load(None, {"DATASTORAGE_DATABASE_URL": URLS["DATASTORAGE_DATABASE_URL"]})


def test_two_urls_replace_the_file() -> None:
    settings = Settings.from_environ(URLS)

    assert settings.server.port == 8080
    database = settings.database
    assert (database.host, database.port, database.name) == ("db.example", 5433, "history")
    assert (database.user, database.password, database.ssl_mode) == ("app", "p@ss", "require")
    redis = settings.redis
    assert (redis.addr, redis.db, redis.password, redis.tls.enabled) == (
        "cache.example:6380",
        3,
        "hush",
        False,
    )


def test_urls_override_file_and_single_variables(load: Load) -> None:
    settings = load(URLS | {"DB_HOST": "other", "DATASTORAGE_DATABASE_PORT": "1", "DB_PASSWORD": "other"})

    assert (settings.database.host, settings.database.port) == ("db.example", 5433)
    assert settings.database.password == "p@ss"
    assert settings.redis.addr == "cache.example:6380"


def test_url_without_a_part_leaves_it_to_the_other_sources(load: Load) -> None:
    settings = load(
        {
            "DATASTORAGE_DATABASE_URL": "postgresql://db.example",
            "DATASTORAGE_REDIS_URL": "redis://cache.example",
        },
        database={"ssl_mode": "require"},
        redis={"db": 4},
    )

    database = settings.database
    assert (database.host, database.port, database.name) == ("db.example", 5432, "action_history")
    assert (database.user, database.password, database.ssl_mode) == (
        "datastorage",
        DATABASE_SECRET,
        "require",
    )
    assert (settings.redis.addr, settings.redis.db) == ("cache.example:6379", 4)
    assert settings.redis.password == REDIS_SECRET


def test_url_of_a_unix_socket_survives_the_driver_url() -> None:
    environ = URLS | {"DATASTORAGE_DATABASE_URL": "postgresql://app@/history?host=/run/pg&port=5433"}

    settings = Settings.from_environ(environ)

    assert (settings.database.host, settings.database.port) == ("/run/pg", 5433)
    url = settings.database.url
    assert url.host is None
    assert url.query == {"host": "/run/pg", "port": "5433", "sslmode": "prefer"}


def test_parameters_of_a_url_without_effect_are_named_in_warnings() -> None:
    environ = {
        "DATASTORAGE_DATABASE_URL": "postgresql://app@db/history?application_name=x",
        "DATASTORAGE_REDIS_URL": "redis://cache?protocol=3",
    }

    settings = Settings.from_environ(environ)

    assert settings.warnings == (
        "parameter application_name of DATASTORAGE_DATABASE_URL is ignored",
        "parameter protocol of DATASTORAGE_REDIS_URL is ignored",
    )


def test_rediss_url_switches_tls_on(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.touch()
    environ = URLS | {
        "DATASTORAGE_REDIS_URL": "rediss://:hush@[::1]",
        "DATASTORAGE_REDIS_TLS_CA_FILE": str(ca_file),
    }

    redis = Settings.from_environ(environ).redis

    assert (redis.tls.enabled, redis.tls.ca_file, redis.addr) == (True, ca_file, "[::1]:6379")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATASTORAGE_DATABASE_URL", "hidden-word"),
        ("DATASTORAGE_DATABASE_URL", "mysql://u:hidden-word@h/n"),
        ("DATASTORAGE_DATABASE_URL", "postgresql://u:hidden-word@h:port/n"),
        ("DATASTORAGE_REDIS_URL", "http://:hidden-word@h"),
        ("DATASTORAGE_REDIS_URL", "redis://:hidden-word@h:port"),
        ("DATASTORAGE_REDIS_URL", "redis://:hidden-word@"),
    ],
)
def test_broken_url_is_refused_without_showing_it(fail: Fail, variable: str, value: str) -> None:
    error = fail({variable: value})

    assert error.message == "Invalid configuration"
    assert error.problems[0].startswith(f"{variable} must ")
    assert "hidden-word" not in str(error)
    assert error.__cause__ is None


def test_password_variables_replace_the_secret_files(load: Load) -> None:
    settings = load(
        {"DB_PASSWORD": "one", "REDIS_PASSWORD": ""},
        database={"secretsFile": None, "passwordKey": None},
        redis={"secretsFile": "/nowhere/credentials.yaml"},
    )

    assert (settings.database.password, settings.redis.password) == ("one", "")


def test_environment_overrides_the_file_and_the_long_name_wins(load: Load) -> None:
    environ = {
        "HTTP_PORT": "8181",
        "LOG_LEVEL": "debug",
        "DATASTORAGE_LOGGING_LEVEL": "error",
        "DATASTORAGE_DATABASE_MAX_OPEN_CONNS": "10",
        "DATASTORAGE_REDIS_DLQ_BACKOFF": "1s,2s",
        "DATASTORAGE_SERVER_HOST": "",
    }

    settings = load(environ, database={"max_open_conns": 25}, server={"host": "127.0.0.1"})

    assert settings.server.port == 8181
    assert settings.logging.level == "error"
    assert settings.summary()["max_open_conns"] == 10
    assert len(settings.redis.dlq_backoff) == 2
    assert settings.server.host == "127.0.0.1"


def test_problem_with_a_variable_names_it(fail: Fail) -> None:
    error = fail({"HTTP_PORT": "80"})

    assert error.problems == ("server port must be between 1024 and 65535, got: 80 (from HTTP_PORT)",)


def test_unknown_variable_is_an_error_that_names_it(fail: Fail) -> None:
    error = fail({"DATASTORAGE_DATABASE_MAX_OPEN_CONN": "hidden-word"})

    assert error.message == "Invalid configuration"
    [problem] = error.problems
    assert problem == (
        "unknown environment variable DATASTORAGE_DATABASE_MAX_OPEN_CONN"
        " (the closest known one is DATASTORAGE_DATABASE_MAX_OPEN_CONNS)"
    )
    assert "hidden-word" not in str(error)


@pytest.mark.parametrize(
    "name",
    [
        "DATASTORAGE_LOGGING_LEVE",  # one character left out
        "DATASTORAGE_LOGGING_LEVELS",
        "DATASTORAGE_LOGGING_LEVEE",
        "DATASTORAGE_LOGGING_LEVLE",  # neighbours swapped
        "DATASTORAGE_LOGGNIG_LEVLE",
        "DATASTORAGE_logging_level",
        "DATASTORAGE_REDIS_UR",
    ],
)
def test_near_miss_of_a_known_name_is_refused(fail: Fail, name: str) -> None:
    [problem] = fail({name: "debug"}).problems

    assert problem.startswith(f"unknown environment variable {name} (the closest known one is DATASTORAGE_")


@pytest.mark.parametrize("name", CLIENT_VARIABLES)
def test_names_that_clients_use_are_close_to_no_setting(load: Load, name: str) -> None:
    known = [variable for key in KEYS for variable in key.variables]
    known += [variable for variable, _ in URL_VARIABLES.values()]

    assert not [each for each in known if within_two_edits(name, each)]
    assert load({name: "http://nobody"}).warnings == ()


def test_unknown_names_far_from_ours_are_ignored_and_listed(load: Load) -> None:
    environ = {"DATASTORAGE_URL": "x", "DATASTORAGE_DATABASE_PASSWORD": "y", "DATASTORAGE_DEV_A": "z"}

    load(environ)

    assert ignored_variables(environ) == ["DATASTORAGE_DATABASE_PASSWORD", "DATASTORAGE_URL"]


@pytest.mark.parametrize(
    "name",
    [
        "DATASTORAGE_TEST_POSTGRES",
        "DATASTORAGE_DEV_DATA",
        "DATASTORAGE_SERVICE_HOST",
        "DATASTORAGE_SERVICE_PORT_HTTP",
        "DATASTORAGE_PORT",
        "DATASTORAGE_PORT_8080_TCP_ADDR",
    ],
)
def test_variables_of_tests_and_of_kubernetes_service_links_are_not_ours(load: Load, name: str) -> None:
    settings = load({name: "tcp://10.0.0.1:8080"})

    assert settings.warnings == ()


def test_secret_variables_are_the_four_that_may_hold_a_password() -> None:
    assert set(SECRET_VARIABLES) == {
        "DATASTORAGE_DATABASE_URL",
        "DATASTORAGE_REDIS_URL",
        "DB_PASSWORD",
        "REDIS_PASSWORD",
    }


def test_environment_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIG_PATH", "/etc/datastorage/config.yaml")

    assert environment()["CONFIG_PATH"] == "/etc/datastorage/config.yaml"
