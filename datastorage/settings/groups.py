"""The groups of settings: what can be configured, with defaults and bounds.

A new setting is one line here and one row in ``docs/settings.md``.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

from datastorage.settings import kinds
from datastorage.settings.keys import NO_FILE, optional, setting

_LOWEST_PORT = 1024  # below, a process needs privileges that ours does not have
_HIGHEST_PORT = 65535
_BODY_BUDGET_BYTES = 16 * 1024 * 1024
_SLOW_READERS = 8
_OFF = ("off", "false")  # YAML 1.1 reads an unquoted `off` as false


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTlsSettings:
    """TLS of our own listeners: off without ``cert_file``.

    Attributes:
        client_ca_file: vouches for clients, each of which then needs a certificate.
        metrics: whether the metrics port has TLS too; no client needs a certificate there.
    """

    cert_file: Path | None = optional(kinds.file())
    key_file: Path | None = optional(kinds.file())
    client_ca_file: Path | None = optional(kinds.file())
    min_version: str = setting(kinds.choice("1.2", "1.3"), "1.2")
    metrics: bool = setting(kinds.flag(), "false")

    @property
    def is_on(self) -> bool:
        """Whether clients come by TLS."""
        return self.cert_file is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The HTTP server: listeners, processes, and how it stops."""

    port: int = setting(
        kinds.integer(_LOWEST_PORT, _HIGHEST_PORT),
        "8080",
        label="server port",
        required_unless=NO_FILE,
        short="HTTP_PORT",
    )
    host: str = setting(kinds.host(), "0.0.0.0")  # noqa: S104 - a pod is reached from outside
    metrics_port: int = setting(kinds.integer(_LOWEST_PORT, _HIGHEST_PORT), "9090", short="METRICS_PORT")
    workers: int = setting(kinds.integer(1), "2")
    threads: int = setting(kinds.integer(1), "32")
    read_timeout: timedelta = setting(kinds.duration(), "30s")
    write_timeout: timedelta = setting(kinds.duration(), "30s")
    shutdown_timeout: timedelta = setting(kinds.duration("1s", "120s"), "30s", short="SHUTDOWN_TIMEOUT")
    endpoint_propagation_delay: timedelta = setting(kinds.duration("0s", "30s"), "5s")
    shutdown_total_budget: timedelta = setting(kinds.duration(), "38s")
    head_timeout: timedelta = setting(kinds.duration("1s", "60s"), "10s")
    max_connections: int = setting(kinds.integer(100, 10000), "1000")
    max_connections_per_address: int = setting(kinds.integer(10, 10000), "250")
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = setting(kinds.listing(kinds.network()), "")
    body_budget_bytes: int | None = optional(kinds.integer(1))
    write_reserve_percent: int = setting(kinds.integer(0, 75), "25")
    max_slow_readers: int | None = optional(kinds.integer(1))
    min_send_rate: int = setting(kinds.integer(0), "16384")
    max_export_duration: timedelta = setting(kinds.duration("1m", "24h"), "30m")
    max_body_bytes: int = setting(kinds.integer(1), "10485760")
    cors_allowed_origins: tuple[str, ...] = setting(kinds.listing(kinds.origin()), "")
    readiness_requires_database: bool = setting(kinds.flag(), "true")
    tls: ServerTlsSettings = field(default_factory=ServerTlsSettings)

    @property
    def body_budget(self) -> int:
        """Bytes of request bodies that may be under way in one worker."""
        return self.body_budget_bytes or max(_BODY_BUDGET_BYTES, self.max_body_bytes * 4 // 3)

    @property
    def slow_readers(self) -> int:
        """Clients of one worker that may take their answers slowly while requests wait for a thread."""
        return self.max_slow_readers or min(_SLOW_READERS, self.threads)

    def share_of_reads(self, total: int) -> int:
        """Return how many of a worker's threads or connections reads may hold; one at least."""
        return max(1, total * (100 - self.write_reserve_percent) // 100)

    def is_trusted_proxy(self, address: str) -> bool:
        """Tell whether the peer ``address`` speaks for many clients."""
        if not self.trusted_proxies:
            return False
        peer = ip_address(address)
        return any(peer in each for each in self.trusted_proxies)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """Audit writes: how many events at once, and how long each part of a write may take."""

    max_batch_size: int = setting(kinds.integer(1), "1000")
    category_contract: str = setting(kinds.choice("both", "december", "newest"), "both")
    extra_event_categories: tuple[str, ...] = setting(
        kinds.listing(kinds.pattern(".{1,50}", "a list of texts of at most 50 characters")), ""
    )
    write_timeout: timedelta = setting(kinds.duration(), "5s")
    batch_timeout: timedelta = setting(kinds.duration(), "30s")
    dlq_timeout: timedelta = setting(kinds.duration(), "3s")
    dlq_batch_timeout: timedelta = setting(kinds.duration(), "5s")
    max_concurrent_exports: int = setting(kinds.integer(1), "2")


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsSettings:
    """What an audit event may look like, and a page of a list; an age limit of ``None`` is switched off."""

    max_event_data_bytes: int = setting(kinds.integer(1), "1048576")
    max_event_data_depth: int = setting(kinds.integer(1), "32")
    max_event_age: timedelta | None = setting(kinds.duration(off=_OFF), "168h")
    max_event_ahead: timedelta | None = setting(kinds.duration(off=_OFF), "5m")
    max_page_bytes: int = setting(kinds.integer(1024 * 1024, 256 * 1024 * 1024), "16777216")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionSettings:
    """Monthly partitions."""

    months_ahead: int = setting(kinds.integer(1), "3")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowsSettings:
    """The workflow catalogue."""

    content_hash_policy: str = setting(kinds.choice("warn", "enforce"), "warn")


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentsSettings:
    """Reading incidents."""

    max_concurrent_exports: int = setting(kinds.integer(1), "2")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingSettings:
    """The log on standard output."""

    level: str = setting(
        kinds.choice("debug", "info", "warn", "error"), "info", label="log level", short="LOG_LEVEL"
    )
    format: str = setting(kinds.choice("json", "console"), "json", label="log format", short="LOG_FORMAT")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuritySettings:
    """``strict`` refuses what is convenient in development and careless in production."""

    strict: bool = setting(kinds.flag(), "false")


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Tracing."""

    enabled: bool = setting(kinds.flag(), "false")
    otlp_endpoint: str | None = optional(kinds.url("http", "https"))
    sample_ratio: float = setting(kinds.number(0, 1), "0.1")
