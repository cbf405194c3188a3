from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from datastorage.dlq import policy
from datastorage.dlq.entry import Entry, EntryType
from datastorage.settings import RedisSettings, Settings

AT = datetime(2026, 3, 4, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def waits() -> tuple[timedelta, ...]:
    redis: RedisSettings = Settings.from_environ(
        {
            "DATASTORAGE_DATABASE_URL": "postgresql://app:x@127.0.0.1:1/none",
            "DATASTORAGE_REDIS_URL": "redis://127.0.0.1:1/0",
        }
    ).redis
    return redis.dlq_backoff


def an_entry(**fields: Any) -> Entry:
    defaults: dict[str, Any] = {"timestamp": AT, "first_enqueued_at": AT, "reason": "lock_timeout"}
    return Entry(**({"type": EntryType.AUDIT_EVENT, "payload": {}} | defaults | fields))


@pytest.mark.parametrize(
    ("retry_count", "wait"),
    [
        (0, timedelta(minutes=1)),
        (1, timedelta(minutes=5)),
        (2, timedelta(minutes=15)),
        (3, timedelta(hours=1)),
        (4, timedelta(hours=4)),
        (5, timedelta(hours=24)),
        (10, timedelta(hours=24)),
        (-1, timedelta(minutes=1)),
    ],
)
def test_backoff_grows_from_a_minute_to_a_day(
    retry_count: int, wait: timedelta, waits: tuple[timedelta, ...]
) -> None:
    assert policy.backoff(retry_count, waits) == wait


@pytest.mark.parametrize(
    ("retry_count", "age", "is_due"),
    [
        (0, timedelta(seconds=30), False),
        (0, timedelta(minutes=1), True),
        (0, timedelta(minutes=2), True),
        (5, timedelta(hours=1), False),
        (5, timedelta(hours=24), True),
    ],
)
def test_failed_entry_is_due_after_its_backoff(
    retry_count: int, age: timedelta, *, is_due: bool, waits: tuple[timedelta, ...]
) -> None:
    entry = an_entry(retry_count=retry_count)

    assert policy.is_due(entry, waits, AT + age) is is_due


@pytest.mark.parametrize("reason", sorted(policy.INFRASTRUCTURE_REASONS))
def test_entry_that_met_a_broken_database_is_always_due(reason: str, waits: tuple[timedelta, ...]) -> None:
    queued_by_a_clock_ahead = an_entry(reason=reason, timestamp=AT + timedelta(seconds=5), retry_count=5)

    assert policy.is_due(queued_by_a_clock_ahead, waits, AT)


@pytest.mark.parametrize(
    "reason",
    ["partition_missing", "lock_timeout", "storage_error", "partition_failed", "contention", "unknown"],
)
def test_failure_of_one_record_is_no_failure_of_the_database(reason: str) -> None:
    assert not policy.is_infrastructure(reason)


def test_backoff_beyond_the_end_of_time_is_over(waits: tuple[timedelta, ...]) -> None:
    entry = an_entry(timestamp=datetime(9999, 12, 31, 23, tzinfo=UTC), retry_count=5)

    assert policy.due_at(entry, waits) == entry.timestamp


def test_sixth_failure_is_the_last() -> None:
    assert not policy.is_exhausted(an_entry(retry_count=4), 6)
    assert policy.is_exhausted(an_entry(retry_count=5), 6)


def test_child_waits_for_its_parent_as_long_as_the_parent_may_wait(waits: tuple[timedelta, ...]) -> None:
    entry, longest = an_entry(), timedelta(hours=29, minutes=21)

    assert policy.may_wait_for_parent(entry, waits, AT + longest - timedelta(seconds=1))
    assert not policy.may_wait_for_parent(entry, waits, AT + longest)


def test_error_text_is_sqlstate_and_primary_message() -> None:
    text = policy.error_text(
        "unknown", "23505", 'duplicate key value violates unique constraint "notification_audit_pkey"'
    )

    assert text == '23505: duplicate key value violates unique constraint "notification_audit_pkey"'


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("db_unreachable", "database connection failed"),
        ("pool_timeout", "no database connection in time"),
        ("unknown", "database write failed"),
    ],
)
def test_failure_without_sqlstate_has_a_fixed_text(reason: str, text: str) -> None:
    assert policy.error_text(reason) == text


@pytest.mark.parametrize(
    "secret",
    [
        "postgres://app:pw@db/x",
        "PostgreSQL://app:pw@db/x",
        "redis://:pw@cache",
        "HOST=db port=5432",
        "user=app",
        "Password authentication failed",
        "passwd",
        "client secret",
        "bad Token",
    ],
)
def test_error_text_that_gives_something_away_is_replaced(secret: str) -> None:
    assert policy.error_text("unknown", "XX000", f"could not do it: {secret}") == "database write failed"


def test_long_error_text_is_cut_between_characters() -> None:
    text = policy.error_text("unknown", "XX000", "é" * 400)

    assert text == "XX000: " + "é" * 249 + "..."
