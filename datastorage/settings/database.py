"""How to reach PostgreSQL, and how patiently."""

# ruff: noqa: RUF009 - these calls declare a field, as dataclasses.field does, and share no state

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import URL

from datastorage.settings import parsers
from datastorage.settings.keys import choice, duration, file_path, integer, secret, setting, unset

_HIGHEST_PORT = 65535
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def _threshold(raw: object) -> int | None:
    return parsers.unless("none", parsers.integers(0))(raw) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """The database, its pool and its time limits; the pool numbers are per pod.

    Attributes:
        host: name or address, or the directory of a Unix socket.
        prepare_threshold: ``None`` switches server-side preparation off.
    """

    host: str = setting(
        parsers.host_or_socket, label="database host", required="database host required", short="DB_HOST"
    )
    port: int = integer(
        None, 1, _HIGHEST_PORT, label="database port", required="database port required", short="DB_PORT"
    )
    name: str = setting(
        parsers.string, label="database name", required="database name required", short="DB_NAME"
    )
    user: str = setting(
        parsers.string, label="database user", required="database user required", short="DB_USER"
    )
    password: str = secret()
    secrets_file: Path | None = file_path(spelled="secretsFile")
    username_key: str | None = unset(parsers.string, spelled="usernameKey")
    password_key: str | None = unset(parsers.string, spelled="passwordKey")
    ssl_mode: str = choice("prefer", *_SSL_MODES, short="DB_SSL_MODE")
    ssl_root_cert: Path | None = file_path()
    max_open_conns: int = integer("25", 1, short="DB_MAX_OPEN_CONNS")
    max_idle_conns: int = integer("5", 0, short="DB_MAX_IDLE_CONNS")
    conn_max_lifetime: timedelta = duration("5m", short="DB_CONN_MAX_LIFETIME")
    conn_max_idle_time: timedelta = duration("10m")
    pool_timeout: timedelta = duration("30s", "100ms", "60s")
    connect_timeout: timedelta = duration("3s", "2s")
    statement_timeout: timedelta = duration("10s")
    prepare_threshold: int | None = setting(_threshold, "5")
    write_lock_timeout: timedelta = duration("2s")

    @property
    def url(self) -> URL:
        """The URL for SQLAlchemy; it hides the password when printed."""
        query = {"sslmode": self.ssl_mode}
        if self.ssl_root_cert is not None:
            query["sslrootcert"] = str(self.ssl_root_cert)
        is_socket = self.host.startswith("/")
        if is_socket:
            # A path in the host part would not survive being rendered and parsed again.
            query |= {"host": self.host, "port": str(self.port)}
        return URL.create(
            "postgresql+psycopg",
            username=self.user,
            password=self.password or None,
            host=None if is_socket else self.host,
            port=None if is_socket else self.port,
            database=self.name,
            query=query,
        )
