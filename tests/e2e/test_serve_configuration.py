"""``datastorage serve`` with a wrong configuration: one error line, exit code 1, and no open port."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from datastorage.embedded.redis import EmbeddedRedis
from tests.support.servers import ROLE_PASSWORD, TestDatabase
from tests.support.service import ServiceProcess, environment_of_a_service, free_port
from tests.support.started import StartService

SECRET = "correct-horse-battery"
URLS = {
    "DATASTORAGE_DATABASE_URL": f"postgresql://app:{SECRET}@127.0.0.1:1/none",
    "DATASTORAGE_REDIS_URL": f"redis://:{SECRET}@127.0.0.1:1/0",
}


@pytest.fixture
def configuration(tmp_path: Path) -> dict[str, Any]:
    """A file that would do; tests break it."""
    secrets = tmp_path / "credentials.yaml"
    secrets.write_text(yaml.safe_dump({"password": SECRET, "number": 7}))
    access = {"secretsFile": str(secrets), "passwordKey": "password"}
    database = {"host": "127.0.0.1", "port": 1, "name": "none", "user": "app"} | access
    redis = {"addr": "127.0.0.1:1"} | access
    return {"server": {"port": free_port()}, "database": database, "redis": redis}


def refused_start(
    tmp_path: Path, *, file: object = None, variables: dict[str, str] | None = None
) -> dict[str, Any]:
    """Start with this configuration and return the one ERROR line."""
    arguments: list[str] = []
    if file is not None:
        path = tmp_path / "config.yaml"
        path.write_text(file if isinstance(file, str) else yaml.safe_dump(file))
        arguments = [f"--config={path}"]
    return error_line(arguments, {"TMPDIR": str(tmp_path / "runtime")} | (variables or {}))


def error_line(arguments: list[str], variables: dict[str, str]) -> dict[str, Any]:
    result = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "datastorage", *arguments, "serve"],
        env=environment_of_a_service() | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 1
    assert SECRET not in result.stdout + result.stderr
    assert "Listening at" not in result.stdout
    assert result.stderr == ""
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    (error,) = [line for line in lines if line["level"] == "error"]
    return dict(error)


def test_start_without_any_configuration_names_the_variables_that_would_do(tmp_path: Path) -> None:
    message = refused_start(tmp_path)["msg"]

    assert "CONFIG_PATH environment variable required" in message
    assert "DATASTORAGE_DATABASE_URL" in message
    assert "DATASTORAGE_REDIS_URL" in message


def test_misspelt_variable_stops_the_start_and_the_closest_one_is_named(tmp_path: Path) -> None:
    message = refused_start(tmp_path, variables=URLS | {"DATASTORAGE_DATABASE_MAX_OPEN_CONN": "10"})["msg"]

    assert "the closest known one is DATASTORAGE_DATABASE_MAX_OPEN_CONNS" in message


def test_variables_of_clients_are_ignored_with_a_warning_each(start_service: StartService) -> None:
    service = start_service(URL=SECRET, HTTP_PORT=SECRET, SERVICE_PORT_HTTP=SECRET)

    assert service.api.get("/readyz").status == 200
    lines = [each for each in service.log_lines if each["msg"] == "Unknown environment variable ignored"]
    assert [(each["level"], each["name"]) for each in lines] == [
        ("warn", "DATASTORAGE_HTTP_PORT"),
        ("warn", "DATASTORAGE_URL"),
    ]
    assert SECRET not in service.log


@pytest.mark.parametrize(
    "command",
    [["-m", "datastorage", "dlq", "status"], ["-m", "alembic", "current"]],
    ids=["command", "migration"],
)
def test_commands_and_migrations_warn_of_variables_of_clients(command: list[str]) -> None:
    result = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, *command],
        env=environment_of_a_service() | URLS | {"DATASTORAGE_URL": SECRET},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert "nknown environment variable ignored: DATASTORAGE_URL" in result.stderr
    assert SECRET not in result.stdout + result.stderr


def test_missing_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.yaml"

    message = error_line([f"--config={missing}"], {})["msg"]

    assert "Failed to load configuration file" in message
    assert "failed to read config file" in message
    assert str(missing) in message


@pytest.mark.parametrize("content", ["server: [", "- a list", "just text"])
def test_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    message = refused_start(tmp_path, file=content)["msg"]

    assert "Failed to load configuration file" in message
    assert "failed to parse config" in message


def test_argument_wins_over_the_variable(tmp_path: Path) -> None:
    message = refused_start(tmp_path, file="- a list", variables={"CONFIG_PATH": "/nowhere.yaml"})["msg"]

    assert "failed to parse config" in message


@pytest.mark.parametrize("group", ["database", "redis"])
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"secretsFile": "/nowhere/credentials.yaml"}, "/nowhere/credentials.yaml"),
        ({"passwordKey": "passphrase"}, "passphrase"),
        ({"passwordKey": "number"}, "number"),
    ],
    ids=["no file", "no such key", "not a string"],
)
def test_secret_that_cannot_be_read_is_named(
    tmp_path: Path, configuration: dict[str, Any], group: str, change: dict[str, str], named: str
) -> None:
    configuration[group] |= change

    message = refused_start(tmp_path, file=configuration)["msg"]

    assert "Failed to load secrets" in message
    assert named in message


@pytest.mark.parametrize("group", ["database", "redis"])
@pytest.mark.parametrize("key", ["secretsFile", "passwordKey"])
def test_missing_place_of_a_secret_is_named(
    tmp_path: Path, configuration: dict[str, Any], group: str, key: str
) -> None:
    del configuration[group][key]

    message = refused_start(tmp_path, file=configuration)["msg"]

    assert "Failed to load secrets" in message
    assert f"{group} {key} required" in message


def test_all_invalid_values_are_reported_together(tmp_path: Path, configuration: dict[str, Any]) -> None:
    configuration["server"]["port"] = 80
    configuration["database"]["host"] = ""
    configuration["logging"] = {"level": "loud"}

    error = refused_start(tmp_path, file=configuration)

    assert "Invalid configuration" in error["msg"]
    assert "server port must be between 1024 and 65535, got: 80" in error["msg"]
    assert "database host required" in error["msg"]
    assert "invalid log level: loud (must be debug, info, warn, or error)" in error["msg"]
    assert len(error["problems"]) == 3


def test_strict_security_refuses_an_open_connection(tmp_path: Path, configuration: dict[str, Any]) -> None:
    configuration["security"] = {"strict": True}
    configuration["database"]["ssl_mode"] = "disable"

    assert "Invalid configuration" in refused_start(tmp_path, file=configuration)["msg"]


def test_misspelt_variable_is_named(tmp_path: Path) -> None:
    variables = URLS | {"DATASTORAGE_DATABASE_MAX_OPEN_CONN": "10"}

    message = refused_start(tmp_path, variables=variables)["msg"]

    assert "DATASTORAGE_DATABASE_MAX_OPEN_CONN " in message
    assert "DATASTORAGE_DATABASE_MAX_OPEN_CONNS" in message


def test_unusable_runtime_directory_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.touch()

    error = refused_start(tmp_path, variables=URLS | {"TMPDIR": str(blocked / "runtime")})

    assert error["msg"] == "Cannot use the runtime directory"
    assert error["path"].startswith(str(blocked))


def test_variable_wins_over_the_file_and_the_start_line_tells(
    tmp_path: Path, configuration: dict[str, Any], database: TestDatabase, redis_url: str
) -> None:
    secrets = tmp_path / "credentials.yaml"
    secrets.write_text(yaml.safe_dump({"password": ROLE_PASSWORD}))
    url = database.app_url
    configuration["database"] |= {"host": url.host, "port": url.port, "name": url.database}
    configuration["database"] |= {"user": url.username, "max_open_conns": 25}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(configuration))

    with ConfiguredByFile(tmp_path, "", redis_url, DATABASE_MAX_OPEN_CONNS="10").read(path) as service:
        started = next(
            line for line in service.log_lines if line["msg"] == "Configuration loaded successfully"
        )
        readiness = service.api.get("/health/ready").status

    assert started["max_open_conns"] == 10
    assert started["database_name"] == url.database
    assert readiness == 200
    assert ROLE_PASSWORD not in service.log


class ConfiguredByFile(ServiceProcess):
    """Reads the database from a file instead of from a variable."""

    def read(self, path: Path) -> "ConfiguredByFile":
        self.arguments = ("-m", "datastorage", f"--config={path}", "serve")
        return self


def test_queue_that_must_be_durable_and_is_not_is_refused(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "redis", settings={"appendonly": "no"}) as redis:
        variables = URLS | {
            "DATASTORAGE_REDIS_URL": redis.url,
            "DATASTORAGE_REDIS_DLQ_REQUIRE_AOF": "true",
            "TMPDIR": str(tmp_path / "runtime"),
        }
        line = error_line([], variables)

    assert line["msg"] == "Redis cannot confirm entries, redis.dlq_require_aof is true"
    assert (line["appendonly"], line["waitaof"]) == (False, True)


def test_key_without_the_name_of_its_log_is_refused(tmp_path: Path) -> None:
    key_file = {"DATASTORAGE_LEDGER_SIGNING_KEY_FILE": str(tmp_path / "key.pem")}

    message = refused_start(tmp_path, variables=URLS | key_file)["msg"]

    assert "ledger origin required" in message


@pytest.mark.parametrize(("content", "named"), [(None, "cannot be read"), ("no key", "not a private key")])
def test_key_that_cannot_be_used_is_named(tmp_path: Path, content: str | None, named: str) -> None:
    file = tmp_path / "key.pem"
    if content is not None:
        file.write_text(content)
    settings = {
        "DATASTORAGE_LEDGER_SIGNING_KEY_FILE": str(file),
        "DATASTORAGE_LEDGER_ORIGIN": "ds.example.org/api/v1/audit/ledger",
    }

    line = refused_start(tmp_path, variables=URLS | settings)

    assert line["msg"] == "Failed to load secrets"
    assert named in line["error"]
    assert str(file) in line["error"]


def test_key_of_sessions_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "session-keys"
    file.write_text("short\n")

    line = refused_start(tmp_path, variables=URLS | {"DATASTORAGE_CONSOLE_SESSION_KEY_FILE": str(file)})

    assert line["msg"] == "Failed to load access policy"
    assert str(file) in line["error"]
    assert "short" not in line["error"]
