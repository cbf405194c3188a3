"""What has to hold between settings, and what is allowed but deserves a warning.

Each check names the values it compares. It runs when all of them were read, so a value that was
refused on its own is not reported a second time as too large for its neighbour.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_BUSY_CLIENTS = 50  # parallel writers the service promises to answer
_USUAL_BATCH_SIZE = 1000
_SECOND = timedelta(seconds=1)
_UNVERIFIED_SSL_MODES = frozenset({"disable", "allow", "prefer"})


@dataclass(frozen=True, slots=True)
class Check:
    """``is_broken`` gets the values of ``slots`` in that order."""

    slots: tuple[str, ...]
    is_broken: Callable[..., bool]
    text: str


def failures(checks: tuple[Check, ...], values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the text of every check that can be made with ``values`` and does not hold."""
    for check in checks:
        if values.keys() >= set(check.slots) and check.is_broken(*(values[slot] for slot in check.slots)):
            yield check.text


def _is_unreadable(file: Path | None) -> bool:
    return file is not None and not (file.is_file() and os.access(file, os.R_OK))


def _is_only_one_set(one: object, other: object) -> bool:
    return bool(one) != bool(other)


def _has_telemetry() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:  # not even the packages around it
        return False


REFUSALS = (
    Check(
        ("server.metrics_port", "server.port"),
        lambda metrics, port: metrics == port,
        "server.metrics_port must differ from server.port",
    ),
    Check(
        ("server.shutdown_total_budget", "server.endpoint_propagation_delay"),
        lambda budget, delay: budget < delay + _SECOND,
        "invalid shutdown_total_budget: server.shutdown_total_budget must be at least"
        " server.endpoint_propagation_delay + 1s",
    ),
    Check(
        ("limits.max_event_data_bytes", "redis.dlq_max_entry_bytes"),
        lambda data, entry: 2 * data > entry,
        "limits.max_event_data_bytes must be at most half of redis.dlq_max_entry_bytes",
    ),
    Check(
        ("database.ssl_mode", "database.ssl_root_cert"),
        lambda mode, cert: mode.startswith("verify-") and cert is None,
        "database.ssl_root_cert is required when database.ssl_mode is verify-ca or verify-full",
    ),
    Check(("database.ssl_root_cert",), _is_unreadable, "database.ssl_root_cert is not a readable file"),
    Check(
        ("database.max_open_conns", "server.workers"),
        lambda connections, workers: connections < workers,
        "database.max_open_conns must be at least server.workers",
    ),
    Check(
        ("database.max_idle_conns", "database.max_open_conns"),
        lambda idle, connections: idle > connections,
        "database.max_idle_conns must be at most database.max_open_conns",
    ),
    Check(
        ("database.write_lock_timeout", "audit.write_timeout"),
        lambda lock, write: lock >= write,
        "invalid write_lock_timeout: database.write_lock_timeout must be below audit.write_timeout",
    ),
    Check(
        ("redis.dlq_read_timeout", "redis.dlq_poll_interval"),
        lambda read, poll: read > poll,
        "invalid dlq_read_timeout: redis.dlq_read_timeout must be at most redis.dlq_poll_interval",
    ),
    Check(
        ("redis.tls_enabled", "redis.tls_ca_file"),
        lambda enabled, ca: enabled and ca is None,
        "redis.tls.caFile is required when redis.tls.enabled is true",
    ),
    Check(
        ("redis.tls_cert_file", "redis.tls_key_file"),
        _is_only_one_set,
        "redis.tls.certFile and redis.tls.keyFile must be set together",
    ),
    Check(("redis.tls_ca_file",), _is_unreadable, "redis.tls.caFile is not a readable file"),
    Check(("redis.tls_cert_file",), _is_unreadable, "redis.tls.certFile is not a readable file"),
    Check(("redis.tls_key_file",), _is_unreadable, "redis.tls.keyFile is not a readable file"),
    Check(
        ("redis.sentinel_master", "redis.sentinel_addrs"),
        _is_only_one_set,
        "redis.sentinel.master and redis.sentinel.addrs must be set together",
    ),
    Check(
        ("telemetry.enabled", "telemetry.otlp_endpoint"),
        lambda enabled, endpoint: enabled and endpoint is None,
        "telemetry.otlp_endpoint is required when telemetry.enabled is true",
    ),
    Check(
        ("telemetry.enabled",),
        lambda enabled: enabled and not _has_telemetry(),
        "telemetry.enabled needs packages that are not installed: pip install 'datastorage[telemetry]'",
    ),
    Check(
        ("security.strict", "database.ssl_mode"),
        lambda strict, mode: strict and mode in _UNVERIFIED_SSL_MODES,
        "security.strict refuses database.ssl_mode disable, allow and prefer",
    ),
    Check(
        ("security.strict", "server.cors_allowed_origins"),
        lambda strict, origins: strict and "*" in origins,
        "security.strict refuses * in server.cors_allowed_origins",
    ),
    Check(
        ("security.strict", "logging.format"),
        lambda strict, log_format: strict and log_format == "console",
        "security.strict refuses logging.format console",
    ),
    Check(
        ("security.strict", "environment.DB_PASSWORD"),
        lambda strict, _: strict,
        "security.strict refuses a password in DB_PASSWORD",
    ),
    Check(
        ("security.strict", "environment.REDIS_PASSWORD"),
        lambda strict, _: strict,
        "security.strict refuses a password in REDIS_PASSWORD",
    ),
    Check(
        ("security.strict", "environment.DATASTORAGE_DATABASE_URL"),
        lambda strict, _: strict,
        "security.strict refuses a password in DATASTORAGE_DATABASE_URL",
    ),
    Check(
        ("security.strict", "environment.DATASTORAGE_REDIS_URL"),
        lambda strict, _: strict,
        "security.strict refuses a password in DATASTORAGE_REDIS_URL",
    ),
)

WARNINGS = (
    Check(
        ("server.workers", "server.threads"),
        lambda workers, threads: workers * threads < _BUSY_CLIENTS,
        "server.workers x server.threads is below 50: fewer requests run at once than clients may send",
    ),
    Check(
        ("server.endpoint_propagation_delay",),
        lambda delay: delay < _SECOND,
        "server.endpoint_propagation_delay is below 1s: requests may be lost when a pod stops",
    ),
    Check(
        ("server.endpoint_propagation_delay", "server.shutdown_timeout", "server.shutdown_total_budget"),
        lambda delay, timeout, budget: delay + timeout > budget,
        "server.endpoint_propagation_delay + server.shutdown_timeout exceeds server.shutdown_total_budget:"
        " running requests get less than server.shutdown_timeout",
    ),
    Check(
        ("audit.max_batch_size",),
        lambda size: size < _USUAL_BATCH_SIZE,
        "audit.max_batch_size is below 1000: existing clients send up to 1000 and drop a refused batch",
    ),
)
