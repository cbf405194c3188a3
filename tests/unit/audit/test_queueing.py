import json
from base64 import b64encode
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from datastorage.audit.event import CATEGORIES, OUTCOMES, AuditEvent, from_payload, to_payload
from datastorage.audit.schemas import AuditEventSchema
from datastorage.dlq.entry import Entry, EntryType, decode
from datastorage.dlq.payload import InvalidPayload
from datastorage.platform.web.characters import FREE_TEXT, IDENTIFIER, Characters
from datastorage.platform.web.json import decode_exactly
from datastorage.settings import Settings
from tests.support.builders import an_audit_event, an_event

ANY_SERVERS = {
    "DATASTORAGE_DATABASE_URL": "postgresql://app:secret@db.example/history",
    "DATASTORAGE_REDIS_URL": "redis://cache.example",
    "DATASTORAGE_LIMITS_MAX_EVENT_AGE": "off",
    "DATASTORAGE_LIMITS_MAX_EVENT_AHEAD": "off",
}
SETTINGS = Settings.from_environ(ANY_SERVERS)
NOW = datetime(2026, 3, 4, 10, 11, 13, 2114, tzinfo=UTC)
SCHEMA = AuditEventSchema(SETTINGS.audit, SETTINGS.limits, lambda: NOW)

DOCUMENTS = ("event_data", "event_metadata")


def through_the_queue(event: AuditEvent) -> AuditEvent:
    """Return what a replay sees of ``event``."""
    entry = Entry(type=EntryType.AUDIT_EVENT, payload=to_payload(event), timestamp=NOW, first_enqueued_at=NOW)
    failed = decode(entry.encode()).failed(reason="", error="", now=NOW)
    return from_payload(decode(failed.encode()).acknowledged)


def values_of(event: AuditEvent) -> dict[str, Any]:
    """Return the members of ``event``, documents as exact JSON values: jsonb keeps no spelling."""
    values = structs.asdict(event)
    for name in DOCUMENTS:
        if values[name] is not None:
            values[name] = decode_exactly(values[name].encode(), "body")
    return values


def texts(maximum: int, characters: Characters = IDENTIFIER) -> st.SearchStrategy[str]:
    valid = st.characters(codec="utf-8").filter(lambda each: characters.fault_of(each) is None)
    return st.text(valid, min_size=1, max_size=maximum).filter(lambda text: bool(text.strip()))


numbers = (
    st.integers()
    | st.integers(min_value=10**300, max_value=10**320)
    | st.floats(allow_nan=False, allow_infinity=False)
)
keys = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=10)
values = st.recursive(
    st.none() | st.booleans() | numbers | keys,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
documents = st.dictionaries(keys, values, max_size=5)
instants = st.datetimes(datetime(1970, 1, 1), datetime(9998, 1, 1)).map(lambda at: f"{at.isoformat()}Z")  # noqa: DTZ001 - the zone is in the text
addresses = st.ip_addresses().map(str)

requests = st.fixed_dictionaries(
    {
        "version": texts(20),
        "event_type": texts(100),
        "event_timestamp": instants,
        "event_category": st.sampled_from(CATEGORIES),
        "event_action": texts(50),
        "event_outcome": st.sampled_from(OUTCOMES),
        "correlation_id": texts(255),
        "event_data": documents,
    },
    optional={
        "event_id": st.uuids().map(str),
        "actor_type": texts(50),
        "actor_id": texts(255),
        "actor_ip": addresses,
        "resource_type": texts(100),
        "resource_id": texts(255),
        "resource_name": texts(255),
        "parent_event_id": st.uuids().map(str),
        "parent_event_date": st.dates().map(str),
        "trace_id": texts(255),
        "span_id": texts(255),
        "namespace": texts(253),
        "cluster_name": texts(255),
        "severity": texts(20),
        "duration_ms": st.integers(-(2**31), 2**31 - 1),
        "event_metadata": documents,
        "error_code": texts(50),
        "error_message": texts(1000, FREE_TEXT),
        "retention_days": st.integers(1, 2555),
        "is_sensitive": st.booleans(),
    },
)


@given(requests)
def test_whatever_a_client_may_send_comes_back_equal(request: dict[str, Any]) -> None:
    event = SCHEMA.read(SCHEMA.decode(json.dumps(request).encode()))

    replayed = through_the_queue(event)

    came_with_the_request = {
        "has_client_id": True,
        "has_client_actor_type": False,
        "has_client_actor_id": False,
    }
    assert values_of(replayed) == values_of(event) | came_with_the_request


NUMBERS = [
    "0.1",
    "0.10",
    "1e16",
    "-1.5E-300",
    "12345678901234567890.12345678901234567890",
    "1" * 1000,
    "-" + "9" * 400,
    "0.30000000000000004",
]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_number_keeps_every_digit_and_stays_a_number(name: str, number: str) -> None:
    event = an_audit_event(**{name: f'{{"a":[{{"n":{number}}}]}}'})

    replayed = through_the_queue(event)

    document = json.loads(getattr(replayed, name), parse_float=Decimal)
    assert document == {"a": [{"n": Decimal(number)}]}
    assert not isinstance(document["a"][0]["n"], str)


def test_payload_has_the_names_of_the_api_and_leaves_out_what_is_absent() -> None:
    event = an_audit_event(namespace=None, event_metadata=None)

    payload = to_payload(event)

    assert set(payload) == {
        "event_id",
        "version",
        "event_timestamp",
        "received_at",
        "event_type",
        "event_category",
        "event_action",
        "event_outcome",
        "actor_type",
        "actor_id",
        "resource_type",
        "resource_id",
        "correlation_id",
        "event_data",
        "severity",
        "retention_days",
        "is_sensitive",
    }


def test_event_keeps_the_time_of_its_202() -> None:
    at = datetime(2026, 3, 4, 7, tzinfo=UTC)

    assert through_the_queue(an_audit_event(received_at=at)).received_at == at


def test_event_queued_without_that_time_was_accepted_when_it_was_first_queued() -> None:
    payload = {name: value for name, value in to_payload(an_audit_event()).items() if name != "received_at"}
    first = datetime(2026, 3, 4, 7, tzinfo=UTC)
    entry = Entry(type=EntryType.AUDIT_EVENT, payload=payload, timestamp=NOW, first_enqueued_at=first)

    assert from_payload(decode(entry.encode()).acknowledged).received_at == first


def test_hint_about_the_date_of_the_parent_comes_along() -> None:
    parent = UUID("0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11")
    event = an_audit_event(parent_event_id=parent, parent_event_date=date(2026, 1, 13))

    assert through_the_queue(event).parent_event_date == date(2026, 1, 13)


def a_foreign_payload(**members: Any) -> dict[str, Any]:
    """Return what another implementation may have queued: the least that makes an event."""
    request = an_event(event_id="0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11", correlation_id="rr-9")
    return request | {"event_timestamp": "2026-03-04T10:11:12.345678Z"} | members


def replayed_entry(payload: dict[str, Any]) -> AuditEvent:
    message = {"type": "audit_event", "payload": payload, "timestamp": NOW.isoformat()}
    return from_payload(decode(json.dumps(message).encode()).acknowledged)


def test_document_queued_as_base64_text_is_read() -> None:
    text = b64encode(b'{"n":0.10,"big":123456789012345678901234567890}').decode()

    event = replayed_entry(a_foreign_payload(event_data=text))

    assert event.event_data == '{"n":0.10,"big":123456789012345678901234567890}'


@pytest.mark.parametrize("empty", [None, ""])
def test_empty_payload_is_an_empty_object(empty: object) -> None:
    event = replayed_entry(a_foreign_payload(event_data=empty, event_metadata=empty))

    assert event.event_data == "{}"
    assert event.event_metadata is None


def test_metadata_without_members_is_not_absent() -> None:
    event = replayed_entry(a_foreign_payload(event_metadata={}))

    assert event.event_metadata == "{}"


def test_defaults_are_applied_to_what_another_writer_left_out() -> None:
    event = replayed_entry(a_foreign_payload(severity=None))

    assert (event.actor_type, event.actor_id) == ("service", "gateway-service")
    assert (event.resource_type, event.resource_id) == ("gateway", "rr-9")
    assert (event.severity, event.retention_days, event.is_sensitive) == ("info", 2555, False)
    assert event.received_at == NOW


@pytest.mark.parametrize(
    "members",
    [
        {"retention_days": 0},
        {"retention_days": None},
        {"is_sensitive": None},
        {"actor_type": None, "actor_id": ""},
        {"severity": "", "resource_type": ""},
    ],
)
def test_queued_member_that_says_nothing_means_what_it_means_in_a_request(members: dict[str, Any]) -> None:
    replayed = replayed_entry(a_foreign_payload(**members))
    requested = SCHEMA.read(a_foreign_payload(**members))

    assert values_of(replayed) == values_of(requested)


def test_timestamp_of_another_zone_becomes_utc() -> None:
    event = replayed_entry(a_foreign_payload(event_timestamp="2026-03-05T00:30:00.5+01:00"))

    assert event.event_timestamp == datetime(2026, 3, 4, 23, 30, 0, 500_000, tzinfo=UTC)
    assert event.event_date == date(2026, 3, 4)


@pytest.mark.parametrize(
    "members",
    [
        {"event_id": "not-a-uuid"},
        {"event_timestamp": "yesterday"},
        {"event_timestamp": None},
        {"correlation_id": 7},
        {"duration_ms": 1.5},
        {"event_data": "no base64!"},
        {"event_data": [1]},
        {"event_metadata": b64encode(b"[1]").decode()},
        {"event_timestamp": "0001-01-01T00:00:00+14:00"},
    ],
)
def test_payload_that_no_row_could_hold_is_invalid(members: dict[str, Any]) -> None:
    with pytest.raises(InvalidPayload):
        replayed_entry(a_foreign_payload(**members))
