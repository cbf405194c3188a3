"""The configuration file and the secret files it names."""

import json
from pathlib import Path

import pytest

from datastorage.settings import Settings, SettingsError
from tests.unit.settings.conftest import DATABASE_SECRET, REDIS_SECRET, Fail, Load, WriteConfig


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(tmp_path / "absent.yaml", {})

    assert caught.value.message == "Failed to load configuration file"
    assert "failed to read config file" in str(caught.value)
    assert "absent.yaml" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "server: [",
        "- a\n- b\n",
        "",
        "a: 2025-13-45\n",
        "a: *hidden\n",
        "\xff",
        "? [hidden]\n: 1\n",
        "[" * 2000,
        "a: &b [*b]\n",
    ],
)
def test_file_that_is_no_yaml_mapping_cannot_be_parsed(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content.encode("latin-1"))

    with pytest.raises(SettingsError) as caught:
        Settings.load(path, {})

    assert caught.value.message == "Failed to load configuration file"
    assert "failed to parse config" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_config_path_names_the_file_and_the_argument_wins(write_config: WriteConfig, tmp_path: Path) -> None:
    path = write_config(server={"port": 8181})

    from_variable = Settings.from_environ({"CONFIG_PATH": str(path)})
    from_argument = Settings.load(path, {"CONFIG_PATH": str(tmp_path / "absent.yaml")})

    assert from_variable.server.port == from_argument.server.port == 8181


def test_group_that_is_no_mapping_is_refused_and_an_empty_one_is_not(write_config: WriteConfig) -> None:
    path = write_config()
    path.write_text(f"{path.read_text()}logging:\naudit: 5\n")

    with pytest.raises(SettingsError) as caught:
        Settings.load(path, {})

    assert caught.value.problems == ("audit must be a mapping",)


def test_passwords_come_from_secret_files(load: Load) -> None:
    settings = load()

    assert (settings.database.password, settings.redis.password) == (DATABASE_SECRET, REDIS_SECRET)
    assert settings.database.user == "datastorage"


def test_json_secret_file_brings_the_user_too(load: Load, tmp_path: Path) -> None:
    secrets = tmp_path / "credentials.json"
    secrets.write_text(json.dumps({"login": "somebody", "word": "hush"}, indent="\t"))

    settings = load(
        database={"secretsFile": str(secrets), "usernameKey": "login", "passwordKey": "word", "user": None}
    )

    assert (settings.database.user, settings.database.password) == ("somebody", "hush")


def test_user_of_the_environment_wins_over_the_secret_file(load: Load) -> None:
    settings = load({"DB_USER": "from_the_environment"}, database={"usernameKey": "username"})

    assert settings.database.user == "from_the_environment"


def test_username_key_absent_from_the_secret_file_leaves_the_user(load: Load) -> None:
    settings = load(database={"usernameKey": "login"})

    assert settings.database.user == "datastorage"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("other: hidden-word\n", "database passwordKey: {path} has no key password"),
        (
            "password: 123456789\n",
            "database passwordKey: the value of password in {path} must be a string (put it in quotes)",
        ),
        ("- hidden-word\n", "database secretsFile {path} must be an object"),
        (
            "password: *hidden-word\n",
            "database secretsFile {path} is neither YAML nor JSON (line 1, column 11)",
        ),
        (
            "password: x\nusername: 123456789\n",
            "database usernameKey: the value of username in {path} must be a string (put it in quotes)",
        ),
    ],
)
def test_unusable_secret_file_is_named_without_its_content(
    fail: Fail, tmp_path: Path, content: str, text: str
) -> None:
    secrets = tmp_path / "credentials.yaml"
    secrets.write_text(content)

    error = fail(database={"secretsFile": str(secrets), "usernameKey": "username"})

    assert error.message == "Failed to load secrets"
    assert error.problems == (text.format(path=secrets),)
    assert "hidden-word" not in str(error)
    assert "123456789" not in str(error)


def test_missing_secret_file_is_named(fail: Fail) -> None:
    error = fail(redis={"secretsFile": "/nowhere/credentials.yaml"})

    assert error.message == "Failed to load secrets"
    assert error.problems[0].startswith("redis secretsFile /nowhere/credentials.yaml cannot be read")


@pytest.mark.parametrize("group", ["database", "redis"])
@pytest.mark.parametrize("key", ["secretsFile", "passwordKey"])
def test_secret_file_and_its_key_are_required(fail: Fail, group: str, key: str) -> None:
    error = fail(**{group: {key: None}})

    assert error.message == "Failed to load secrets"
    assert error.problems == (f"{group} {key} required",)


def test_missing_secret_and_invalid_value_are_reported_together(fail: Fail) -> None:
    error = fail(redis={"passwordKey": None}, server={"port": 80})

    assert error.message == "Failed to load secrets; Invalid configuration"
    assert len(error.problems) == 2


def test_driver_url_names_the_root_certificate(load: Load, tmp_path: Path) -> None:
    certificate = tmp_path / "ca.crt"
    certificate.touch()

    database = load(database={"ssl_mode": "verify-full", "ssl_root_cert": str(certificate)}).database

    assert database.url.query == {"sslmode": "verify-full", "sslrootcert": str(certificate)}


def test_no_secret_and_no_user_name_is_shown(load: Load) -> None:
    settings = load()

    assert DATABASE_SECRET not in repr(settings)
    assert REDIS_SECRET not in repr(settings)
    assert DATABASE_SECRET not in repr(settings.database.url)
    assert settings.summary() == {
        "port": 8080,
        "metrics_port": 9090,
        "database_host": "postgres.data.svc",
        "database_port": 5432,
        "database_name": "action_history",
        "redis_addr": "redis.data.svc:6379",
        "log_level": "info",
        "workers": 2,
        "threads": 32,
        "max_open_conns": 25,
        "max_idle_conns": 5,
        "conn_max_lifetime_seconds": 300.0,
        "conn_max_idle_time_seconds": 600.0,
        "pool_timeout_seconds": 30.0,
        "security_strict": False,
    }
