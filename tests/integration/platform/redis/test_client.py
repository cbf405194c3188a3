"""Every way to Redis that the settings offer, tried on a real server (and a real Sentinel).

The embedded server has no TLS: a terminator stands in front of it.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from datastorage.embedded.redis import EmbeddedRedis, find_redis_binary
from datastorage.platform.redis import redis_client
from datastorage.settings import RedisSettings, Settings
from tests.support.service import free_port
from tests.support.tls import Authority, terminated
from tests.support.waiting import eventually

USER, PASSWORD = "queue", "only-for-tests"
Configured = Callable[..., RedisSettings]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as running:
        with redis.Redis.from_url(running.url) as admin:
            admin.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "~*", "+@all")
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def configured(tmp_path: Path, server: EmbeddedRedis) -> Configured:
    """Return the Redis settings of a file with these keys; passwords are those of the servers."""

    def settings(**keys: Any) -> RedisSettings:
        secrets = tmp_path / "redis.yaml"
        secrets.write_text(yaml.safe_dump({"password": server.password, "user": USER, "word": PASSWORD}))
        content = {"redis": {"secretsFile": str(secrets), "passwordKey": "password", **keys}}
        config = tmp_path / "config.yaml"
        config.write_text(yaml.safe_dump({"server": {"port": 8080}, **content}))
        environ = {"DATASTORAGE_DATABASE_URL": "postgresql://app@localhost/history"}
        return Settings.load(config, environ).redis

    return settings


def asked(settings: RedisSettings) -> str:
    """Return as whom Redis knows us."""
    with redis_client(settings) as client:
        return bytes(client.execute_command("ACL", "WHOAMI")).decode()


def test_password_alone_is_for_the_default_user(configured: Configured, server: EmbeddedRedis) -> None:
    assert asked(configured(addr=f"127.0.0.1:{server.port}")) == "default"


def test_user_and_password_of_the_secret_file_log_in(configured: Configured, server: EmbeddedRedis) -> None:
    settings = configured(addr=f"127.0.0.1:{server.port}", usernameKey="user", passwordKey="word")

    assert asked(settings) == USER


def test_user_of_the_configuration_file_logs_in(configured: Configured, server: EmbeddedRedis) -> None:
    settings = configured(addr=f"127.0.0.1:{server.port}", username=USER, passwordKey="word")

    assert asked(settings) == USER


def test_user_of_the_url_logs_in(server: EmbeddedRedis) -> None:
    environ = {
        "DATASTORAGE_DATABASE_URL": "postgresql://app@localhost/history",
        "DATASTORAGE_REDIS_URL": f"redis://{USER}:{PASSWORD}@127.0.0.1:{server.port}/2",
    }

    settings = Settings.from_environ(environ).redis

    assert asked(settings) == USER
    with redis_client(settings) as client:
        assert client.client_info()["db"] == 2


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_server_with_a_certificate_of_the_private_authority_is_trusted(
    configured: Configured, server: EmbeddedRedis, authority: Authority, name: str
) -> None:
    with terminated(server.port, authority.issue(name)) as port:
        settings = configured(addr=f"{name}:{port}", tls={"enabled": True, "caFile": str(authority.ca_file)})

        assert asked(settings) == "default"


def test_url_with_two_s_uses_tls(server: EmbeddedRedis, authority: Authority) -> None:
    with terminated(server.port, authority.issue("localhost")) as port:
        environ = {
            "DATASTORAGE_DATABASE_URL": "postgresql://app@localhost/history",
            "DATASTORAGE_REDIS_URL": f"rediss://{USER}:{PASSWORD}@localhost:{port}",
            "DATASTORAGE_REDIS_TLS_CA_FILE": str(authority.ca_file),
        }

        assert asked(Settings.from_environ(environ).redis) == USER


def test_certificate_for_another_name_is_refused(
    configured: Configured, server: EmbeddedRedis, authority: Authority
) -> None:
    with terminated(server.port, authority.issue("elsewhere.example")) as port:
        settings = configured(
            addr=f"localhost:{port}", tls={"enabled": True, "caFile": str(authority.ca_file)}
        )

        with pytest.raises(redis.ConnectionError, match="Hostname mismatch"):
            asked(settings)


def test_without_ca_file_the_system_vouches_and_knows_no_private_authority(
    configured: Configured, server: EmbeddedRedis, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with terminated(server.port, authority.issue("localhost")) as port:
        settings = configured(addr=f"localhost:{port}", tls={"enabled": True})

        with pytest.raises(
            redis.ConnectionError, match=r"unable to get local issuer certificate|self-signed"
        ):
            asked(settings)

        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))  # where OpenSSL finds those of the system
        assert asked(settings) == "default"


def test_client_shows_its_certificate(
    configured: Configured, server: EmbeddedRedis, authority: Authority, tmp_path: Path
) -> None:
    clients = Authority(tmp_path, "clients")
    ours = clients.issue("datastorage@example.com", common_name="datastorage")
    with terminated(server.port, authority.issue("localhost"), clients.ca_file) as port:
        tls = {"enabled": True, "caFile": str(authority.ca_file)}
        with pytest.raises(redis.ConnectionError):
            asked(configured(addr=f"localhost:{port}", tls=tls))

        shown = tls | {"certFile": str(ours.cert), "keyFile": str(ours.key)}
        assert asked(configured(addr=f"localhost:{port}", tls=shown)) == "default"


@contextmanager
def sentinel_watching(directory: Path, server: EmbeddedRedis, *, master_port: int) -> Iterator[int]:
    """Run a Sentinel with a user of its own, and yield its port."""
    port = free_port()
    config = directory / "sentinel.conf"
    config.write_text(
        f"bind 127.0.0.1\nport {port}\ndir {directory}\n"
        f"sentinel monitor main 127.0.0.1 {master_port} 1\n"
        f"sentinel auth-pass main {server.password}\n"
        f"user watch on >{PASSWORD} allchannels +@all\nuser default off\n"
    )
    binary = [str(find_redis_binary()), str(config), "--sentinel"]
    with (directory / "sentinel.log").open("wb") as log:
        process = subprocess.Popen(binary, stdout=log, stderr=log)  # noqa: S603 - the server we test with
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


def sentinel_keys(port: int) -> dict[str, Any]:
    return {
        "master": "main",
        "addrs": ["127.0.0.1:1", f"127.0.0.1:{port}"],
        "username": "watch",
        "passwordKey": "word",
    }


def wait_for_master(settings: RedisSettings) -> None:
    def is_there() -> bool:
        try:
            return bool(asked(settings))
        except redis.ConnectionError:
            return False

    eventually(is_there)


def test_sentinel_leads_to_the_master(configured: Configured, server: EmbeddedRedis, tmp_path: Path) -> None:
    with sentinel_watching(tmp_path, server, master_port=server.port) as port:
        settings = configured(sentinel=sentinel_keys(port))
        wait_for_master(settings)

        assert asked(settings) == "default"
        with redis_client(settings) as client:
            assert client.config_get("port") == {"port": str(server.port)}


def test_tls_holds_for_sentinels_and_master(
    configured: Configured, server: EmbeddedRedis, authority: Authority, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        pair = authority.issue("127.0.0.1", "localhost")
        master_port = stack.enter_context(terminated(server.port, pair))
        plain = stack.enter_context(sentinel_watching(tmp_path, server, master_port=master_port))
        port = stack.enter_context(terminated(plain, pair))
        tls = {"enabled": True, "caFile": str(authority.ca_file)}
        wait_for_master(configured(sentinel=sentinel_keys(plain)))

        assert asked(configured(sentinel=sentinel_keys(port), tls=tls)) == "default"
        with pytest.raises(redis.ConnectionError):  # the Sentinel itself speaks no TLS
            asked(configured(sentinel=sentinel_keys(plain), tls=tls))


def test_wrong_password_of_the_sentinels_is_no_way_to_the_master(
    configured: Configured, server: EmbeddedRedis, tmp_path: Path
) -> None:
    with sentinel_watching(tmp_path, server, master_port=server.port) as port:
        wait_for_master(configured(sentinel=sentinel_keys(port)))
        keys = sentinel_keys(port) | {"passwordKey": "password"}

        with pytest.raises(redis.RedisError):
            asked(configured(sentinel=keys))
