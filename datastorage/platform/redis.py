"""Connections to Redis as the settings describe them: directly or through Sentinel, plain or by TLS.

Everything that talks to Redis gets its client here. A client connects when it is first used, and asks
Sentinel for the master at each new connection, so a fail-over needs no restart.
"""

from ssl import TLSVersion
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from datastorage.settings import RedisSettings


def redis_client(settings: RedisSettings) -> redis.Redis:
    """Return a client that fails within its timeouts: the library's own retries would multiply them."""
    sentinel = settings.sentinel
    options = _options(settings, settings.username, settings.password) | {"db": settings.db}
    if sentinel.master is None:
        host, port = _host_and_port(settings.addr or "")
        return redis.Redis(host=host, port=port, **options)
    untyped: Any = Sentinel
    sentinels = untyped(
        [_host_and_port(addr) for addr in sentinel.addrs],
        sentinel_kwargs=_options(settings, sentinel.username, sentinel.password),
    )
    return cast("redis.Redis", sentinels.master_for(sentinel.master, **options))


def _host_and_port(addr: str) -> tuple[str, int]:
    host, _, port = addr.rpartition(":")
    return host.strip("[]"), int(port)


def _options(settings: RedisSettings, username: str | None, password: str) -> dict[str, Any]:
    """Return a login, with the timeouts and the encryption of the master and the Sentinels alike."""
    options: dict[str, Any] = {
        "username": username,
        "password": password or None,
        "socket_connect_timeout": settings.connect_timeout.total_seconds(),
        "socket_timeout": settings.socket_timeout.total_seconds(),
        "retry": Retry(NoBackoff(), 0),
    }
    if settings.tls.enabled:
        # The library verifies certificate and host name, and trusts the system's certificates too.
        options |= {
            "ssl": True,
            "ssl_min_version": TLSVersion.TLSv1_2,
            "ssl_ca_certs": settings.tls.ca_file,
            "ssl_certfile": settings.tls.cert_file,
            "ssl_keyfile": settings.tls.key_file,
        }
    return options
