from pathlib import Path

import pytest

from datastorage.dlq.preflight import check_redis
from datastorage.embedded.redis import EmbeddedRedis
from tests.integration.dlq.conftest import Lines
from tests.support.pods import Pod, connect

CHANGED = {
    "maxmemory-policy": "allkeys-lru",
    "appendonly": "no",
    "appendfsync": "no",
    "maxmemory": "50mb",
}


def test_server_that_loses_nothing_is_not_mentioned(tmp_path: Path, lines: Lines) -> None:
    with EmbeddedRedis(tmp_path) as server, connect(server.url) as client:
        found = check_redis(client, Pod(client, dlq_require_aof="true").settings)

    assert found == []
    assert lines("Redis may lose entries of the DLQ") == []


@pytest.mark.parametrize("name", CHANGED)
def test_setting_that_may_lose_entries_is_named(tmp_path: Path, lines: Lines, name: str) -> None:
    with EmbeddedRedis(tmp_path, settings={name: CHANGED[name]}) as server, connect(server.url) as client:
        found = check_redis(client, Pod(client).settings)

    assert found == [name]
    [line] = lines("Redis may lose entries of the DLQ")
    assert line["setting"] == name
    assert line["levelname"] == "WARNING"


def test_forbidden_configuration_is_not_fatal(tmp_path: Path, lines: Lines) -> None:
    forbidden = {"rename-command CONFIG": ""}
    with EmbeddedRedis(tmp_path, settings=forbidden) as server, connect(server.url) as client:
        found = check_redis(client, Pod(client).settings)

    assert found == []
    assert len(lines("Redis configuration cannot be read, durability of the DLQ unknown")) == 1


def test_unreachable_server_is_not_fatal(lines: Lines) -> None:
    with connect("redis://127.0.0.1:1/0") as client:
        found = check_redis(client, Pod(client).settings)

    assert found == ["redis"]
    assert len(lines("Redis unreachable, no fallback for audit writes")) == 1
