"""Commands with something wrong around them: one line that says what to change, and no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import environment_of_a_service

ROOT = Path(__file__).parents[2]
DATABASE = "postgresql://app@127.0.0.1:1/none"


def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment_of_a_service() | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def only_line(result: "subprocess.CompletedProcess[str]") -> str:
    assert result.returncode != 0
    assert "Traceback" not in result.stdout + result.stderr
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    return line


@pytest.mark.parametrize("arguments", [["current"], ["upgrade", "head"]])
def test_migration_without_settings_names_what_would_do(arguments: list[str]) -> None:
    line = only_line(run("alembic", *arguments))

    assert line.startswith("error: CONFIG_PATH environment variable required: name a file with CONFIG_PATH")
    assert "or set DATASTORAGE_DATABASE_URL" in line


def test_replay_without_database_writes_one_line(redis_url: str) -> None:
    urls = {"DATASTORAGE_DATABASE_URL": DATABASE, "DATASTORAGE_REDIS_URL": redis_url}

    line = only_line(run("datastorage", "dlq", "replay", "--stream", "events", "--now", **urls))

    assert line.startswith("Error: The database cannot be reached: nothing was replayed.")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "failed to read config file {path}: No such file or directory"),
        ("server:\n  port: 8080\n  port: 8081\n", "{path} has the key port twice (line 3, column 3)"),
        ("server: [", "{path} is neither YAML nor JSON (line 1, column 10)"),
    ],
)
def test_unusable_file_is_named(tmp_path: Path, content: str | None, text: str) -> None:
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_text(content)

    line = only_line(run("datastorage", f"--config={path}", "dlq", "status"))

    assert line.startswith("Error: Failed to load configuration file: ")
    assert line.endswith(text.format(path=path))


def test_every_mistake_of_a_file_is_in_the_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("server:\n  port: 010000\nlogging:\n  level: loud\n")
    urls = {"DATASTORAGE_DATABASE_URL": DATABASE, "DATASTORAGE_REDIS_URL": "redis://127.0.0.1:1"}

    line = only_line(run("datastorage", f"--config={path}", "dlq", "status", **urls))

    assert "server port must be a whole number without leading zeros, got: 010000" in line
    assert "invalid log level: loud" in line
