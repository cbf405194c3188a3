import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from datastorage.dlq.entry import Entry, EntryType, Stream, Unreadable, decode

AT = datetime(2026, 3, 4, 10, 11, 13, 2114, tzinfo=UTC)


def an_entry(**fields: Any) -> Entry:
    defaults: dict[str, Any] = {
        "type": EntryType.AUDIT_EVENT,
        "payload": {"event_id": "0b6f7d0e", "correlation_id": "rr-1", "event_data": {"a": 1}},
        "timestamp": AT,
        "first_enqueued_at": AT,
    }
    return Entry(**(defaults | fields))


def a_message(**members: Any) -> bytes:
    """Return a message as another implementation writes it: five members, nothing more."""
    defaults = {
        "type": "audit_event",
        "payload": {"event_id": "0b6f7d0e", "event_data": {"a": 1}},
        "timestamp": "2026-03-04T10:11:13.002114123Z",
        "retry_count": 2,
        "last_error": "database write failed",
    }
    return json.dumps({k: v for k, v in (defaults | members).items() if v is not ...}).encode()


def test_message_is_one_compact_object_with_the_members_of_the_contract() -> None:
    entry = an_entry(
        retry_count=3, last_error="55P03: lock", reason="lock_timeout", request_id="7f3f", timestamp=AT
    )

    assert entry.encode() == (
        b'{"type":"audit_event",'
        b'"payload":{"event_id":"0b6f7d0e","correlation_id":"rr-1","event_data":{"a":1}},'
        b'"timestamp":"2026-03-04T10:11:13.002114Z","retry_count":3,"last_error":"55P03: lock",'
        b'"first_enqueued_at":"2026-03-04T10:11:13.002114Z","reason":"lock_timeout","request_id":"7f3f"}'
    )


def test_what_is_decoded_is_what_was_encoded() -> None:
    entry = an_entry(
        payload={"event_id": "x", "event_data": {"nested": [{"ünïcode": "\u0000 \u2028 😀"}, None, True]}},
        retry_count=4,
        reason="contention",
        request_id="7f3f",
        first_enqueued_at=AT - timedelta(days=2),
    )

    assert decode(entry.encode()) == entry


@pytest.mark.parametrize("number", ["18446744073709551616", "1.10", "-1.2345E-20", "1E+400"])
def test_numbers_keep_every_digit(number: str) -> None:
    exact = int(number) if number.isdecimal() else Decimal(number)

    entry = decode(an_entry(payload={"event_data": {"n": exact}}).encode())

    assert entry.payload["event_data"]["n"] == exact
    assert f'"n":{number}'.encode() in entry.encode()


def test_entry_without_the_younger_members_is_read() -> None:
    entry = decode(a_message())

    assert entry.timestamp == AT
    assert entry.first_enqueued_at == entry.timestamp
    assert (entry.reason, entry.request_id, entry.retry_count) == ("unknown", "", 2)


def test_unknown_and_empty_members_are_ignored() -> None:
    message = a_message(
        shard=7, retry_count=None, last_error=None, reason=None, request_id=None, first_enqueued_at=None
    )

    entry = decode(message)

    assert (entry.retry_count, entry.last_error, entry.reason) == (0, "", "unknown")


def test_timestamp_of_another_zone_or_of_none_is_understood() -> None:
    elsewhere = decode(a_message(timestamp="2026-03-04T12:11:13+02:00"))
    nowhere = decode(a_message(timestamp="2026-03-04T10:11:13"))

    assert elsewhere.timestamp == datetime(2026, 3, 4, 12, 11, 13, tzinfo=timezone(timedelta(hours=2)))
    assert nowhere.timestamp == elsewhere.timestamp


def test_objects_queued_as_base64_are_read() -> None:
    def in_base64(value: object) -> str:
        return b64encode(json.dumps(value).encode()).decode()

    payload = {"event_data": in_base64({"a": 1.5}), "event_metadata": in_base64({"b": None})}
    entry = decode(a_message(payload=payload))

    assert entry.payload == {"event_data": {"a": Decimal("1.5")}, "event_metadata": {"b": None}}


@pytest.mark.parametrize("empty", [..., None, ""])
def test_missing_event_data_is_an_empty_object(empty: object) -> None:
    members = {} if empty is ... else {"event_data": empty, "event_metadata": empty}

    entry = decode(a_message(payload={"event_id": "x", **members}))

    assert entry.payload == {"event_id": "x", "event_data": {}}


def test_empty_metadata_is_not_absent() -> None:
    entry = decode(a_message(payload={"event_id": "x", "event_data": {}, "event_metadata": {}}))

    assert entry.payload == {"event_id": "x", "event_data": {}, "event_metadata": {}}


@pytest.mark.parametrize("text", ["not base64!", "aGVsbG8=", "WzFd", "a"])
def test_text_that_is_no_object_is_kept_for_whoever_judges_the_payload(text: str) -> None:
    assert decode(a_message(payload={"event_data": text})).payload == {"event_data": text}


def test_payload_of_a_notification_is_taken_as_it_is() -> None:
    payload = {"notification_id": "n-1", "remediation_id": "rr-9"}

    entry = decode(a_message(type="notification_audit", payload=payload))

    assert entry.payload == payload
    assert (entry.record_id, entry.correlation_id) == ("n-1", "rr-9")
    assert entry.type.stream is Stream.NOTIFICATIONS


@pytest.mark.parametrize(
    "message",
    [
        None,
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        a_message(type="workflow"),
        a_message(type=...),
        a_message(payload="text"),
        a_message(payload=...),
        a_message(timestamp="yesterday"),
        a_message(timestamp=...),
        a_message(retry_count="two"),
        a_message(payload={"n": "N"}).replace(b'"N"', b"1e99999999999999999999"),
    ],
)
def test_anything_else_is_unreadable(message: bytes | None) -> None:
    with pytest.raises(Unreadable):
        decode(message)


def test_failure_counts_and_starts_the_backoff_anew() -> None:
    later = AT + timedelta(minutes=1)

    failed = an_entry(retry_count=2).failed(reason="lock_timeout", error="55P03: lock", now=later)

    assert (failed.retry_count, failed.reason, failed.last_error) == (3, "lock_timeout", "55P03: lock")
    assert (failed.timestamp, failed.first_enqueued_at) == (later, AT)


def test_postponing_costs_no_attempt() -> None:
    later = AT + timedelta(minutes=1)

    postponed = an_entry(retry_count=2).postponed(reason="parent_pending", error="", now=later)

    assert (postponed.retry_count, postponed.timestamp) == (2, later)
