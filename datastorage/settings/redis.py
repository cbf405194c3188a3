"""How to reach Redis, and how the dead letter queue in it behaves."""

# ruff: noqa: RUF009 - these calls declare a field, as dataclasses.field does, and share no state

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from datastorage.settings import parsers
from datastorage.settings.keys import (
    INVALID_DURATION,
    choice,
    duration,
    file_path,
    flag,
    integer,
    secret,
    setting,
    unset,
)

_LONGEST_STREAM = 1_000_000
_LARGEST_ENTRY_BYTES = 32 * 1024 * 1024


def _is_not_positive(number: int) -> bool:
    return number <= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """Redis and the queue of writes that PostgreSQL could not take; ``dlq_backoff`` waits in turn."""

    addr: str = setting(
        parsers.address, label="redis address", required="redis address required", short="REDIS_ADDR"
    )
    db: int = integer("0", 0, 15, short="REDIS_DB")
    password: str = secret()
    secrets_file: Path | None = file_path(spelled="secretsFile")
    password_key: str | None = unset(parsers.string, spelled="passwordKey")
    dlq_max_len: int = integer("10000", high=_LONGEST_STREAM, default_if=_is_not_positive)
    dlq_dead_letter_max_len: int = integer("10000", high=_LONGEST_STREAM, default_if=_is_not_positive)
    dlq_consumer_group: str = setting(
        parsers.strings("[A-Za-z0-9._-]{1,64}", "1 to 64 letters, digits, dots, dashes or underscores"),
        "data-storage-retry-workers",
    )
    dlq_poll_interval: timedelta = duration("30s", "100ms", "10m")
    dlq_max_batch_size: int = integer("10", 1, 1000)
    dlq_max_retries: int = integer("6", 1, 100)
    dlq_backoff: tuple[timedelta, ...] = setting(
        parsers.not_empty(parsers.lists(parsers.durations())),
        "1m,5m,15m,1h,4h,24h",
        phrase=INVALID_DURATION,
    )
    dlq_read_timeout: timedelta = duration("5s")
    dlq_claim_interval: timedelta = duration("30s")
    dlq_claim_min_idle: timedelta = duration("60s")
    dlq_claim_count: int = integer("10", 1)
    dlq_max_deliveries: int = integer("5", 1)
    dlq_drain_timeout: timedelta = duration("10s", "0s", "60s")
    dlq_max_entry_bytes: int = integer("2097152", 1, _LARGEST_ENTRY_BYTES)
    dlq_require_aof: str = choice("auto", "auto", "true", "false")
    connect_timeout: timedelta = duration("1s")
    socket_timeout: timedelta = duration("2s")
    tls_enabled: bool = flag("false", spelled="tls.enabled")
    tls_ca_file: Path | None = file_path(spelled="tls.caFile")
    tls_cert_file: Path | None = file_path(spelled="tls.certFile")
    tls_key_file: Path | None = file_path(spelled="tls.keyFile")
    sentinel_master: str | None = unset(parsers.string, spelled="sentinel.master")
    sentinel_addrs: tuple[str, ...] = setting(parsers.lists(parsers.address), "", spelled="sentinel.addrs")
