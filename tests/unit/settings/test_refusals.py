"""Values that are refused, each with its text, and all of them at once."""

import pytest

from tests.unit.settings.conftest import Fail


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("server.port", None, "server port required"),
        ("server.port", "", "server port required"),
        ("server.port", 80, "server port must be between 1024 and 65535, got: 80"),
        ("server.port", "x", "server port must be a whole number, got: x"),
        ("server.port", True, "server port must be a whole number, got: True"),
        ("server.port", {"a": "b"}, "server port must be a whole number, got: a dict"),
        ("server.port", "010000", "server port must be a whole number without leading zeros, got: 010000"),
        ("server.host", "[::1", "server.host must be an IP address or a name"),
        ("server.host", "http://x", "server.host must be an IP address or a name"),
        ("server.metrics_port", 8080, "server.metrics_port must differ from server.port"),
        ("server.workers", 0, "server.workers must be at least 1, got: 0"),
        (
            "server.read_timeout",
            30,
            (
                "invalid read_timeout: server.read_timeout must be a duration with a unit,"
                " such as 300ms, 30s or 1h30m, got: 30"
            ),
        ),
        (
            "server.write_timeout",
            "0s",
            "invalid write_timeout: server.write_timeout must be above 0, got: 0s",
        ),
        (
            "server.shutdown_timeout",
            "121s",
            "invalid shutdown_timeout: server.shutdown_timeout must be between 1s and 120s, got: 121s",
        ),
        (
            "server.shutdown_total_budget",
            "5999ms",
            (
                "invalid shutdown_total_budget: server.shutdown_total_budget must be at least"
                " server.endpoint_propagation_delay + 1s"
            ),
        ),
        ("server.max_body_bytes", 0, "server.max_body_bytes must be at least 1, got: 0"),
        (
            "server.cors_allowed_origins",
            ["https://a.example", "ftp://b.example"],
            "server.cors_allowed_origins must hold only * or http and https origins",
        ),
        (
            "server.cors_allowed_origins",
            ["https://a.example/path"],
            "server.cors_allowed_origins must hold only * or http and https origins, without a path",
        ),
        ("server.cors_allowed_origins", 5, "server.cors_allowed_origins must be a list"),
        (
            "server.readiness_requires_database",
            "yes?",
            "server.readiness_requires_database must be true or false, got: yes?",
        ),
        (
            "audit.extra_event_categories",
            ["x" * 51],
            "audit.extra_event_categories must be a list of texts of at most 50 characters",
        ),
        ("partition.months_ahead", 0, "partition.months_ahead must be at least 1, got: 0"),
        (
            "workflows.content_hash_policy",
            "ignore",
            "invalid workflows.content_hash_policy: ignore (must be warn or enforce)",
        ),
        (
            "logging.level",
            "loud",
            "invalid log level: loud (must be debug, info, warn, or error)",
        ),
        ("logging.format", "xml", "invalid log format: xml (must be json or console)"),
        ("database.host", None, "database host required"),
        ("database.host", "", "database host required"),
        ("database.port", None, "database port required"),
        ("database.port", 65536, "database port must be between 1 and 65535, got: 65536"),
        ("database.name", None, "database name required"),
        ("database.name", False, "database name must be text (put it in quotes)"),
        ("database.user", None, "database user required"),
        ("database.user", "  ", "database user must not be empty"),
        (
            "database.ssl_mode",
            "maybe",
            (
                "invalid database.ssl_mode: maybe"
                " (must be disable, allow, prefer, require, verify-ca, or verify-full)"
            ),
        ),
        (
            "database.ssl_mode",
            "verify-ca",
            "database.ssl_root_cert is required when database.ssl_mode is verify-ca or verify-full",
        ),
        (
            "database.ssl_root_cert",
            "/nowhere/ca.crt",
            "database.ssl_root_cert is not a readable file",
        ),
        ("server.workers", 26, "database.max_open_conns must be at least server.workers"),
        ("database.max_idle_conns", 26, "database.max_idle_conns must be at most database.max_open_conns"),
        (
            "database.pool_timeout",
            "61s",
            "invalid pool_timeout: database.pool_timeout must be between 100ms and 60s, got: 61s",
        ),
        (
            "database.connect_timeout",
            "1s",
            "invalid connect_timeout: database.connect_timeout must be at least 2s, got: 1s",
        ),
        (
            "database.prepare_threshold",
            -1,
            "database.prepare_threshold must be at least 0, got: -1",
        ),
        (
            "database.write_lock_timeout",
            "5s",
            "invalid write_lock_timeout: database.write_lock_timeout must be below audit.write_timeout",
        ),
        (
            "limits.max_event_data_bytes",
            1048577,
            "limits.max_event_data_bytes must be at most half of redis.dlq_max_entry_bytes",
        ),
        ("redis.addr", None, "redis address required"),
        ("redis.addr", "redis", "redis address must be host:port"),
        ("redis.addr", "::1:6379", "redis address must be host:port"),
        ("redis.addr", "a b:6379", "redis address must be host:port"),
        ("redis.db", 16, "redis.db must be between 0 and 15, got: 16"),
        ("redis.dlq_max_len", 1000001, "redis.dlq_max_len must be at most 1000000, got: 1000001"),
        (
            "redis.dlq_consumer_group",
            "a b",
            "redis.dlq_consumer_group must be 1 to 64 letters, digits, dots, dashes or underscores",
        ),
        ("redis.dlq_backoff", [], "invalid dlq_backoff: redis.dlq_backoff must not be empty"),
        (
            "redis.dlq_backoff",
            ["1m", 5],
            (
                "invalid dlq_backoff: redis.dlq_backoff must be a duration with a unit,"
                " such as 300ms, 30s or 1h30m, got: 5"
            ),
        ),
        (
            "redis.dlq_read_timeout",
            "31s",
            "invalid dlq_read_timeout: redis.dlq_read_timeout must be at most redis.dlq_poll_interval",
        ),
        ("redis.tls", {"enabled": True, "caFile": "/nowhere"}, "redis.tls.caFile is not a readable file"),
        ("redis.tls", {"keyFile": __file__}, "redis.tls.certFile and redis.tls.keyFile must be set together"),
        ("database.ssl_key", __file__, "database.ssl_cert and database.ssl_key must be set together"),
        (
            "redis.sentinel",
            {"master": "main"},
            "redis.sentinel.master and redis.sentinel.addrs must be set together",
        ),
        ("redis.tls", "on", "redis.tls must be a mapping"),
        (
            "telemetry.otlp_endpoint",
            "collector:4317",
            "telemetry.otlp_endpoint must be an http or https URL",
        ),
        ("telemetry.otlp_endpoint", "http://[", "telemetry.otlp_endpoint must be an http or https URL"),
        (
            "telemetry.sample_ratio",
            1.5,
            "telemetry.sample_ratio must be a number between 0 and 1, got: 1.5",
        ),
        (
            "telemetry.sample_ratio",
            "half",
            "telemetry.sample_ratio must be a number between 0 and 1, got: half",
        ),
    ],
)
def test_invalid_value_is_refused_with_its_text(fail: Fail, key: str, value: object, text: str) -> None:
    group, name = key.split(".")

    error = fail(**{group: {name: value}})

    assert error.message == "Invalid configuration"
    assert error.problems == (text,)


def test_key_set_in_two_spellings_is_refused(fail: Fail) -> None:
    error = fail(database={"ssl_mode": "require", "sslMode": "disable"})

    assert error.problems == ("database.ssl_mode is set twice, in two spellings",)


def test_all_problems_are_reported_at_once(fail: Fail) -> None:
    error = fail(server={"port": 80}, database={"host": ""}, logging={"level": "loud"})

    assert error.message == "Invalid configuration"
    assert set(error.problems) == {
        "server port must be between 1024 and 65535, got: 80",
        "database host required",
        "invalid log level: loud (must be debug, info, warn, or error)",
    }
    assert all(problem in str(error) for problem in error.problems)


def test_value_refused_on_its_own_is_not_compared_with_others(fail: Fail) -> None:
    error = fail(server={"port": 80, "metrics_port": 80})

    assert len(error.problems) == 2
    assert "server.metrics_port must differ from server.port" not in error.problems
