"""The settings that are about the service itself; database and Redis have modules of their own."""

# ruff: noqa: RUF009 - these calls declare a field, as dataclasses.field does, and share no state

from dataclasses import dataclass
from datetime import timedelta

from datastorage.settings import parsers
from datastorage.settings.keys import INVALID_DURATION, choice, duration, flag, integer, setting, unset

_LOWEST_PORT = 1024  # below, a process needs privileges that ours does not have
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The HTTP server: listeners, processes, and how it stops."""

    port: int = integer(
        "8080",
        _LOWEST_PORT,
        _HIGHEST_PORT,
        label="server port",
        required_in_file="server port required",
        short="HTTP_PORT",
    )
    host: str = setting(parsers.host, "0.0.0.0")  # noqa: S104 - a pod is reached from outside
    metrics_port: int = integer("9090", _LOWEST_PORT, _HIGHEST_PORT, short="METRICS_PORT")
    workers: int = integer("2", 1)
    threads: int = integer("32", 1)
    read_timeout: timedelta = duration("30s")
    write_timeout: timedelta = duration("30s")
    shutdown_timeout: timedelta = duration("30s", "1s", "120s", short="SHUTDOWN_TIMEOUT")
    endpoint_propagation_delay: timedelta = duration("5s", "0s", "30s")
    shutdown_total_budget: timedelta = duration("38s")
    max_body_bytes: int = integer("10485760", 1)
    cors_allowed_origins: tuple[str, ...] = setting(parsers.lists(parsers.origin), "")
    readiness_requires_database: bool = flag("true")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """Audit writes: how many events at once, and how long each part of a write may take."""

    max_batch_size: int = integer("1000", 1)
    extra_event_categories: tuple[str, ...] = setting(
        parsers.lists(parsers.strings(".{1,50}", "a list of texts of at most 50 characters")), ""
    )
    write_timeout: timedelta = duration("5s")
    batch_timeout: timedelta = duration("30s")
    dlq_timeout: timedelta = duration("3s")
    dlq_batch_timeout: timedelta = duration("5s")


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsSettings:
    """What an audit event may look like; an age limit of ``None`` is switched off."""

    max_event_data_bytes: int = integer("1048576", 1)
    max_event_data_depth: int = integer("32", 1)
    max_event_age: timedelta | None = setting(
        parsers.unless("off", parsers.durations()), "168h", phrase=INVALID_DURATION
    )
    max_event_ahead: timedelta | None = setting(
        parsers.unless("off", parsers.durations()), "5m", phrase=INVALID_DURATION
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionSettings:
    """Monthly partitions."""

    months_ahead: int = integer("3", 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowsSettings:
    """The workflow catalogue."""

    content_hash_policy: str = choice("warn", "warn", "enforce")


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentsSettings:
    """Reading incidents."""

    max_concurrent_exports: int = integer("2", 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingSettings:
    """The log on standard output."""

    level: str = choice("info", "debug", "info", "warn", "error", label="log level", short="LOG_LEVEL")
    format: str = choice("json", "json", "console", label="log format", short="LOG_FORMAT")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuritySettings:
    """``strict`` refuses what is convenient in development and careless in production."""

    strict: bool = flag("false")


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Tracing."""

    enabled: bool = flag("false")
    otlp_endpoint: str | None = unset(parsers.url)
    sample_ratio: float = setting(parsers.numbers(0, 1), "0.1")
