"""``datastorage validate`` as a person runs it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from datastorage.embedded.redis import EmbeddedRedis
from tests.support.servers import TestDatabase
from tests.support.service import environment_of_a_service, free_port

READY = "ALL CHECKS PASSED - Ready for Data Storage Service implementation"
TOOLS = ("--skip=7", "--skip=9")
"""Needs podman or docker; and lint and types, which have runs of their own."""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as running:
        yield running


def validate(*arguments: str, database_url: str, redis_url: str) -> "subprocess.CompletedProcess[str]":
    variables = {"DATASTORAGE_DATABASE_URL": database_url, "DATASTORAGE_REDIS_URL": redis_url}
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "datastorage", "validate", *arguments],
        env=environment_of_a_service() | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def plain(database: TestDatabase) -> str:
    return database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)


def test_complete_set_up_is_ready(database: TestDatabase, redis: EmbeddedRedis) -> None:
    result = validate(*TOOLS, database_url=plain(database), redis_url=redis.url)

    lines = result.stdout.splitlines()
    assert result.returncode == 0, result.stdout
    assert lines[-1] == READY
    checks = [line.split()[:2] for line in lines[:-1] if line.startswith("[")]
    statuses = {7: "SKIP", 9: "SKIP", 11: "WARN"}
    assert checks == [[f"[{number}/11]", statuses.get(number, "PASS")] for number in range(1, 12)]
    assert result.stderr == ""


def test_without_postgresql_its_dependants_are_skipped(redis: EmbeddedRedis) -> None:
    port = free_port()
    url = f"postgresql://app:Zq-secret-Zq@127.0.0.1:{port}/none"

    result = validate(*TOOLS, "--skip=6", "--skip=8", database_url=url, redis_url=redis.url)

    lines = result.stdout.splitlines()
    assert result.returncode == 1
    assert lines[0] == f"[1/11] FAIL nothing listens at 127.0.0.1:{port} (Connection refused)"
    assert re.match(r" +repair: .*database\.host and database\.port, or start one: ", lines[1])
    assert lines[2:4] == [
        "[2/11] SKIP schema: needs check 1",
        "[3/11] SKIP tables and partitions: needs check 1",
    ]
    assert lines[-1] == "1 of 11 checks failed"
    assert "Zq-" not in result.stdout + result.stderr


def test_json_holds_the_same_findings(redis: EmbeddedRedis) -> None:
    url = f"postgresql://app:Zq-secret-Zq@127.0.0.1:{free_port()}/none"

    result = validate(
        *TOOLS, "--skip=4", "--skip=6", "--skip=8", "--json", database_url=url, redis_url=redis.url
    )

    document = json.loads(result.stdout)
    assert result.returncode == 1
    assert document["verdict"] == "1 of 11 checks failed"
    assert [check["number"] for check in document["checks"]] == list(range(1, 12))
    assert [check["status"] for check in document["checks"][:3]] == ["FAIL", "SKIP", "SKIP"]
    assert document["checks"][0]["repair"]
    assert "Zq-" not in result.stdout


def test_file_of_the_option_is_the_one_that_counts(tmp_path: Path, redis: EmbeddedRedis) -> None:
    missing = tmp_path / "nowhere.yaml"
    others = [f"--skip={number}" for number in range(2, 12) if number != 6]

    result = validate(
        f"--config={missing}", *others, database_url="postgresql://app@127.0.0.1:1/none", redis_url=redis.url
    )

    lines = result.stdout.splitlines()
    assert result.returncode == 1
    for number in (1, 6):
        [at] = [at for at, line in enumerate(lines) if line.startswith(f"[{number}/11] FAIL")]
        assert "the configuration cannot be used: " in lines[at]
        assert str(missing) in lines[at]
        assert lines[at + 1] == "        repair: correct the configuration, see docs/settings.md"
    assert "Traceback" not in result.stdout + result.stderr


def test_overview_of_the_commands_imports_none_of_them() -> None:
    script = "import sys; from datastorage.cli import main; main(['--help'], standalone_mode=False)"
    heavy = "{'flask', 'sqlalchemy', 'alembic', 'redis', 'gunicorn'}"

    result = subprocess.run(  # noqa: S603 - our own Python
        [sys.executable, "-c", f"{script}; sys.exit(sorted({heavy} & set(sys.modules)))"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "validate" in result.stdout
    assert result.stderr == "[]\n"
