"""Single keys: what is accepted."""

from datetime import timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from datastorage.settings import KEYS
from datastorage.settings.keys import Key
from tests.unit.settings.conftest import Load


def test_file_with_only_the_required_keys_gives_every_default(load: Load) -> None:
    settings = load()

    shown = {key.path: attrgetter(key.path)(settings) for key in _keys_with_default()}
    assert shown == {key.path: key.initial for key in _keys_with_default()}
    assert settings.warnings == ()
    assert settings.server.shutdown_total_budget == timedelta(seconds=38)
    assert settings.redis.dlq_backoff[-1] == timedelta(hours=24)
    assert settings.limits.max_event_age == timedelta(days=7)
    assert settings.database.prepare_threshold == 5


def _keys_with_default() -> list[Key]:
    given = {"redis.addr"} | {
        f"{group}.{name}" for group in ("database", "redis") for name in ("secrets_file", "password_key")
    }
    return [key for key in KEYS if key.required_unless != "" and not key.is_secret and key.path not in given]


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [
        ("server.host", "::", "host", "::"),
        ("server.endpoint_propagation_delay", 0, "endpoint_propagation_delay", timedelta(0)),
        ("server.readiness_requires_database", False, "readiness_requires_database", False),
        ("server.readTimeout", "5s", "read_timeout", timedelta(seconds=5)),
        ("server.cors_allowed_origins", ["*"], "cors_allowed_origins", ("*",)),
        (
            "server.cors_allowed_origins",
            "https://a.example, http://b.example:81",
            "cors_allowed_origins",
            ("https://a.example", "http://b.example:81"),
        ),
        ("audit.extra_event_categories", ["signal"], "extra_event_categories", ("signal",)),
        ("limits.max_event_age", "off", "max_event_age", None),
        ("limits.max_event_ahead", False, "max_event_ahead", None),
        ("limits.maxEventAhead", "1h30m", "max_event_ahead", timedelta(minutes=90)),
        ("logging.level", "WARN", "level", "warn"),
        ("database.maxOpenConns", "30", "max_open_conns", 30),
        ("database.host", "/run/postgresql", "host", "/run/postgresql"),
        ("database.prepare_threshold", 0, "prepare_threshold", None),
        ("database.prepare_threshold", "none", "prepare_threshold", None),
        ("database.secrets_file", None, "password_key", "password"),
        ("redis.addr", "[::1]:6379", "addr", "[::1]:6379"),
        ("redis.dlq_drain_timeout", "0s", "dlq_drain_timeout", timedelta(0)),
        (
            "redis.dlq_backoff",
            "10ms,20ms",
            "dlq_backoff",
            (timedelta(milliseconds=10), timedelta(milliseconds=20)),
        ),
        ("redis.dlqRequireAOF", True, "dlq_require_aof", "true"),
        ("redis.dlq_require_aof", False, "dlq_require_aof", "false"),
        ("redis.dlq_require_aof", "Auto", "dlq_require_aof", "auto"),
        (
            "redis.sentinel",
            {"master": "main", "addrs": ["a:26379", "b:26379"]},
            "sentinel.addrs",
            ("a:26379", "b:26379"),
        ),
        ("telemetry.sampleRatio", 1, "sample_ratio", 1.0),
        ("telemetry.otlp_endpoint", "http://otel:4318", "otlp_endpoint", "http://otel:4318"),
    ],
)
def test_value_in_any_accepted_spelling_is_read(
    load: Load, key: str, value: Any, field: str, expected: object
) -> None:
    group, name = key.split(".")

    settings = load(**{group: {name: value}})

    assert attrgetter(f"{group}.{field}")(settings) == expected


def test_tls_with_readable_files_is_accepted(load: Load, tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.pem" for name in ("caFile", "certFile", "keyFile")}
    for file in files.values():
        file.touch()

    redis = load(redis={"tls": {"enabled": True} | {name: str(file) for name, file in files.items()}}).redis

    assert redis.tls.enabled
    assert (redis.tls.ca_file, redis.tls.cert_file, redis.tls.key_file) == tuple(files.values())


@pytest.mark.parametrize(
    ("groups", "warning"),
    [
        ({"server": {"threads": 24}}, "server.workers x server.threads is below 50"),
        (
            {"server": {"endpoint_propagation_delay": "500ms"}},
            "server.endpoint_propagation_delay is below 1s",
        ),
        ({"server": {"shutdown_timeout": "34s"}}, "exceeds server.shutdown_total_budget"),
        ({"audit": {"max_batch_size": 500}}, "audit.max_batch_size is below 1000"),
        ({"redis": {"dlq_max_len": 0}}, "redis.dlq_max_len is 0: the default 10000 is used"),
        ({"redis": {"dlq_stream_name": "mine"}}, "redis.dlq_stream_name is ignored"),
        ({"database": {"password": "x"}}, "database.password in the configuration file is ignored"),
        ({"redis": {"password": "x"}}, "redis.password in the configuration file is ignored"),
        (
            {"database": {"max_open_conn": 10}},
            "max_open_conn is ignored (the closest known key is database.max_open_conns)",
        ),
        ({"sever": {"port": 80}}, "unknown key sever is ignored (the closest known key is server)"),
        (
            {"redis": {"tls": {"enable": False}}},
            "unknown key redis.tls.enable is ignored (the closest known key is redis.tls.enabled)",
        ),
    ],
)
def test_doubtful_value_is_accepted_with_one_warning(
    load: Load, groups: dict[str, dict[str, Any]], warning: str
) -> None:
    settings = load(**groups)

    assert len(settings.warnings) == 1
    assert warning in settings.warnings[0]
    assert settings.redis.dlq_max_len == 10000


def test_stream_name_of_old_files_is_accepted_silently_when_it_is_the_fixed_one(load: Load) -> None:
    settings = load(redis={"dlq_stream_name": "audit:dlq:events"})

    assert settings.warnings == ()
