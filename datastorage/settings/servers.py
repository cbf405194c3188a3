"""How to reach PostgreSQL and Redis, how patiently, and how the queue in Redis behaves."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sqlalchemy import URL

from datastorage.settings import kinds
from datastorage.settings.keys import optional, secret, setting

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_LARGEST_ENTRY_BYTES = 32 * 1024 * 1024
_LENGTH = kinds.integer(high=1_000_000)  # of a stream
_BACKOFF = kinds.listing(kinds.duration(), least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """The database, its pool and its time limits; the pool numbers are per pod.

    Attributes:
        host: name or address, or the directory of a Unix socket; several with commas, and with ports that
            win over ``port``, are the servers of one cluster.
        target_session_attrs: which of them is wanted, as libpq defines it.
        prepare_threshold: ``None`` (``none`` or 0) switches server-side preparation off.
    """

    host: str = setting(kinds.hosts(), label="database host", short="DB_HOST")
    port: int = setting(kinds.integer(1, 65535), label="database port", short="DB_PORT")
    name: str = setting(kinds.text(), label="database name", short="DB_NAME")
    user: str = setting(kinds.text(), label="database user", short="DB_USER")
    password: str = secret(short="DB_PASSWORD")
    secrets_file: Path | None = optional(kinds.text(then=Path), spelled="secretsFile")
    username_key: str | None = optional(kinds.text(), spelled="usernameKey")
    password_key: str | None = optional(kinds.text(), spelled="passwordKey")
    target_session_attrs: str | None = optional(kinds.choice("any", "read-write", "primary"))
    ssl_mode: str = setting(kinds.choice(*_SSL_MODES), "prefer", short="DB_SSL_MODE")
    ssl_root_cert: Path | None = optional(kinds.file())
    ssl_cert: Path | None = optional(kinds.file())
    ssl_key: Path | None = optional(kinds.file())
    max_open_conns: int = setting(kinds.integer(1), "25", short="DB_MAX_OPEN_CONNS")
    max_idle_conns: int = setting(kinds.integer(0), "5", short="DB_MAX_IDLE_CONNS")
    conn_max_lifetime: timedelta = setting(kinds.duration(), "5m", short="DB_CONN_MAX_LIFETIME")
    conn_max_idle_time: timedelta = setting(kinds.duration(), "10m")
    pool_timeout: timedelta = setting(kinds.duration("100ms", "60s"), "30s")
    connect_timeout: timedelta = setting(kinds.duration("2s"), "3s")
    statement_timeout: timedelta = setting(kinds.duration(), "10s")
    prepare_threshold: int | None = setting(kinds.integer(0, off=("none", "0")), "5")
    write_lock_timeout: timedelta = setting(kinds.duration(), "2s")

    @property
    def servers(self) -> tuple[tuple[str, int], ...]:
        """Host and port of each server, in the order in which they are tried."""
        if "," not in self.host:
            return ((self.host, self.port),)
        return tuple(kinds.server_of(each, self.port) for each in self.host.split(","))

    @property
    def place(self) -> str:
        """Where the database is, for people."""
        return " or ".join(f"{host}:{port}" for host, port in self.servers)

    @property
    def url(self) -> URL:
        """The URL for SQLAlchemy; it hides the password when printed."""
        hosts, ports = zip(*self.servers, strict=True)
        query = self._query
        # Rendered into the host part of a URL, neither a path nor several hosts could be parsed again.
        is_query = len(hosts) > 1 or self.host.startswith("/")
        if is_query:
            query |= {"host": ",".join(hosts), "port": ",".join(map(str, ports))}
        return URL.create(
            "postgresql+psycopg",
            username=self.user,
            password=self.password or None,
            host=None if is_query else self.host,
            port=None if is_query else self.port,
            database=self.name,
            query=query,
        )

    @property
    def _query(self) -> dict[str, str]:
        files = {"sslrootcert": self.ssl_root_cert, "sslcert": self.ssl_cert, "sslkey": self.ssl_key}
        query = {"sslmode": self.ssl_mode} | {name: str(file) for name, file in files.items() if file}
        wanted = self.target_session_attrs or ("read-write" if len(self.servers) > 1 else "any")
        return query if wanted == "any" else query | {"target_session_attrs": wanted}


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisTlsSettings:
    """Encryption towards Redis and its Sentinels; without ``ca_file`` the system's certificates vouch."""

    enabled: bool = setting(kinds.flag(), "false")
    ca_file: Path | None = optional(kinds.file(), spelled="caFile")
    cert_file: Path | None = optional(kinds.file(), spelled="certFile")
    key_file: Path | None = optional(kinds.file(), spelled="keyFile")


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelSettings:
    """The Sentinels that know where the master is."""

    master: str | None = optional(kinds.text())
    addrs: tuple[str, ...] = setting(kinds.listing(kinds.address()), "")
    username: str | None = optional(kinds.text())
    password: str = secret()
    password_key: str | None = optional(kinds.text(), spelled="passwordKey")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """Redis and the queue of writes that PostgreSQL could not take; ``dlq_backoff`` waits in turn."""

    addr: str | None = optional(
        kinds.address(), label="redis address", required_unless="redis.sentinel.master", short="REDIS_ADDR"
    )
    db: int = setting(kinds.integer(0, 15), "0", short="REDIS_DB")
    username: str | None = optional(kinds.text())
    password: str = secret(short="REDIS_PASSWORD")
    secrets_file: Path | None = optional(kinds.text(then=Path), spelled="secretsFile")
    username_key: str | None = optional(kinds.text(), spelled="usernameKey")
    password_key: str | None = optional(kinds.text(), spelled="passwordKey")
    dlq_max_len: int = setting(_LENGTH, "10000", positive_or_default=True)
    dlq_dead_letter_max_len: int = setting(_LENGTH, "10000", positive_or_default=True)
    dlq_consumer_group: str = setting(
        kinds.pattern("[A-Za-z0-9._-]{1,64}", "1 to 64 letters, digits, dots, dashes or underscores"),
        "data-storage-retry-workers",
    )
    dlq_poll_interval: timedelta = setting(kinds.duration("100ms", "10m"), "30s")
    dlq_max_batch_size: int = setting(kinds.integer(1, 1000), "10")
    dlq_max_retries: int = setting(kinds.integer(1, 100), "6")
    dlq_backoff: tuple[timedelta, ...] = setting(
        kinds.listing(kinds.duration(), least=1), "1m,5m,15m,1h,4h,24h"
    )
    dlq_read_timeout: timedelta = setting(kinds.duration(), "5s")
    dlq_claim_interval: timedelta = setting(kinds.duration(), "30s")
    dlq_claim_min_idle: timedelta = setting(kinds.duration(), "60s")
    dlq_claim_count: int = setting(kinds.integer(1), "10")
    dlq_max_deliveries: int = setting(kinds.integer(1), "5")
    dlq_drain_timeout: timedelta = setting(kinds.duration("0s", "60s"), "10s")
    dlq_max_entry_bytes: int = setting(kinds.integer(1, _LARGEST_ENTRY_BYTES), "2097152")
    dlq_require_aof: str = setting(kinds.choice("auto", "true", "false"), "auto")
    connect_timeout: timedelta = setting(kinds.duration(), "1s")
    socket_timeout: timedelta = setting(kinds.duration(), "2s")
    tls: RedisTlsSettings = field(default_factory=RedisTlsSettings)
    sentinel: SentinelSettings = field(default_factory=SentinelSettings)

    @property
    def place(self) -> str:
        """Where Redis is, for people: its address, or its name and who knows the address."""
        if self.sentinel.master is None:
            return str(self.addr)
        return f"{self.sentinel.master} (Sentinel at {', '.join(self.sentinel.addrs)})"
