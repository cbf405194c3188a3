import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from datastorage.audit.event import AuditEvent
from datastorage.audit.schemas import ALIASES, AuditBatch, AuditEventSchema
from datastorage.errors import BatchSizeExceeded, Fault, InvalidInput
from datastorage.settings import Settings
from tests.support.builders import ABSENT, an_event, rfc3339

NOW = datetime(2026, 1, 31, 23, 58, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ANY_SERVERS = {
    "DATASTORAGE_DATABASE_URL": "postgresql://app:secret@db.example/history",
    "DATASTORAGE_REDIS_URL": "redis://cache.example",
}


def a_schema(**changed: str) -> AuditEventSchema:
    variables = {f"DATASTORAGE_{name}": value for name, value in changed.items()}
    settings = Settings.from_environ(ANY_SERVERS | variables)
    return AuditEventSchema(settings.audit, settings.limits, lambda: NOW)


SCHEMA = a_schema()


def request_of(**fields: Any) -> dict[str, Any]:
    return an_event(**{"event_timestamp": rfc3339(NOW)} | fields)


def read(**fields: Any) -> AuditEvent:
    event = SCHEMA.read(request_of(**fields))
    assert isinstance(event, AuditEvent)
    return event


def faults_of(schema: AuditEventSchema = SCHEMA, **fields: Any) -> dict[str, Fault]:
    with pytest.raises(InvalidInput) as caught:
        schema.read(request_of(**fields))
    return caught.value.field_errors


def test_smallest_event_gets_every_default() -> None:
    event = read(correlation_id="rr-7", event_category="workflow")

    assert (event.event_version, event.event_date) == ("1.0", date(2026, 1, 31))
    assert (event.actor_type, event.actor_id) == ("service", "workflow-service")
    assert (event.resource_type, event.resource_id) == ("workflow", "rr-7")
    assert (event.severity, event.retention_days, event.is_sensitive) == ("info", 2555, False)
    assert event.event_data == '{"alert_name":"EtcdHighCommitLatency"}'


def test_new_id_is_random_and_not_the_clients() -> None:
    first, second = read(), read()

    assert first.event_id != second.event_id
    assert first.event_id.version == 4
    assert not first.has_client_id


def test_id_of_the_client_is_kept() -> None:
    event = read(event_id="0F6F1C0E-5C43-4D7A-9A0B-6A0C9A3F7D11")

    assert event.event_id == UUID("0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11")
    assert event.has_client_id


def test_false_and_zero_are_values() -> None:
    event = read(is_sensitive=False, duration_ms=0)

    assert event.is_sensitive is False
    assert event.duration_ms == 0


def test_date_is_taken_after_conversion_and_truncation() -> None:
    assert read(event_timestamp="2026-02-01T00:30:00.9999999+01:00").event_date == date(2026, 1, 31)
    assert read(event_timestamp="2026-01-31T23:59:59.9999999Z").event_date == date(2026, 1, 31)
    assert read(event_timestamp="2026-02-01T00:00:00Z").event_date == date(2026, 2, 1)


@pytest.mark.parametrize("at", [NOW + timedelta(minutes=5), NOW - timedelta(days=7)])
def test_window_includes_both_ends(at: datetime) -> None:
    assert read(event_timestamp=rfc3339(at)).event_timestamp == at


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (NOW + timedelta(minutes=5) + MICROSECOND, "timestamp_future"),
        (NOW - timedelta(days=7) - MICROSECOND, "timestamp_too_old"),
    ],
)
def test_window_ends_within_a_microsecond(at: datetime, reason: str) -> None:
    assert faults_of(event_timestamp=rfc3339(at))["event_timestamp"].reason == reason


def test_fraction_is_truncated_before_the_window_is_checked() -> None:
    at = rfc3339(NOW + timedelta(minutes=5)).replace("Z", "999Z")

    assert read(event_timestamp=at).event_timestamp == NOW + timedelta(minutes=5)


def test_refused_times_are_told_apart() -> None:
    ahead = faults_of(event_timestamp="2026-02-01T00:04:00Z")["event_timestamp"]
    old = faults_of(event_timestamp="2026-01-23T23:58:00Z")["event_timestamp"]

    assert ahead == (
        "timestamp is in the future (server time: 2026-01-31T23:58:00Z, event time: 2026-02-01T00:04:00Z)"
    )
    assert old == "timestamp is too old (must be within 7 days, age: 8 days, 0:00:00)"


@pytest.mark.parametrize("at", ["2099-12-31T00:00:00Z", "1999-01-01T00:00:00Z"])
def test_window_can_be_switched_off(at: str) -> None:
    schema = a_schema(LIMITS_MAX_EVENT_AHEAD="off", LIMITS_MAX_EVENT_AGE="off")

    assert rfc3339(schema.read(request_of(event_timestamp=at)).event_timestamp)[:10] == at[:10]


@pytest.mark.parametrize(("alias", "canonical"), ALIASES.items())
def test_older_name_counts_only_without_the_new_one(alias: str, canonical: str) -> None:
    values = {"event_category": ("workflow", "analysis"), "event_outcome": ("failure", "pending")}
    older, newer = values.get(canonical, ("older", "newer"))
    stored_as = {"version": "event_version"}.get(canonical, canonical)

    assert getattr(read(**{alias: older, canonical: ABSENT}), stored_as) == older
    assert getattr(read(**{alias: older, canonical: None}), stored_as) == older
    assert getattr(read(**{alias: older, canonical: newer}), stored_as) == newer


def test_request_is_left_as_it_was() -> None:
    request = request_of(service="workflow", event_category=None)
    before = json.dumps(request)

    SCHEMA.read(request)

    assert json.dumps(request) == before


def test_faults_are_in_the_order_of_the_contract() -> None:
    faults = faults_of(error_code="x" * 51, version=5, event_data=[], severity="x" * 21, event_type=None)

    assert list(faults) == ["version", "event_type", "event_data", "severity", "error_code"]


@pytest.mark.parametrize("value", [[], "text", 5, None, True], ids=repr)
def test_event_must_be_an_object(value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        SCHEMA.read(value)

    assert list(caught.value.field_errors) == ["body"]


@pytest.mark.parametrize(("contract", "refused"), [("december", "aiagent"), ("newest", "execution")])
def test_contract_of_one_release_narrows_the_categories(contract: str, refused: str) -> None:
    schema = a_schema(AUDIT_CATEGORY_CONTRACT=contract)

    assert schema.read(request_of(event_category="workflow")).event_category == "workflow"
    with pytest.raises(InvalidInput) as caught:
        schema.read(request_of(event_category=refused))
    assert list(caught.value.field_errors) == ["event_category"]


def test_extra_categories_belong_to_one_schema_only() -> None:
    extended = a_schema(AUDIT_EXTRA_EVENT_CATEGORIES="signal")

    assert extended.read(request_of(event_category="signal")).actor_id == "signal-service"
    assert "signal" in faults_of(event_category="signal")["event_category"]


def test_payload_and_metadata_share_one_limit() -> None:
    schema = a_schema(LIMITS_MAX_EVENT_DATA_BYTES="40")
    event_data, event_metadata = {"x": "y" * 12}, {"x": "z" * 12}

    fitting = schema.read(request_of(event_data=event_data, event_metadata=event_metadata))
    faults = faults_of(schema, event_data=event_data, event_metadata=event_metadata | {"": 1})

    assert len(fitting.event_data) + len(fitting.event_metadata) == 40
    assert list(faults) == ["event_data"]
    assert faults["event_data"].reason == "too_large"


def a_batch(maximum: int = 3) -> AuditBatch:
    return AuditBatch(SCHEMA, maximum=maximum)


def test_batch_keeps_the_order_of_its_events() -> None:
    events = a_batch().read([request_of(event_action=action) for action in ("a", "b", "c")])

    assert [event.event_action for event in events] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("value", "reason"), [({}, "not_array"), (None, "not_array"), ([], "empty_batch")], ids=repr
)
def test_batch_of_another_shape_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        a_batch().read(value)

    assert caught.value.field_errors["body"].reason == reason


def test_events_of_a_batch_over_the_limit_are_not_looked_at() -> None:
    with pytest.raises(BatchSizeExceeded) as caught:
        a_batch().read([{}] * 4)

    assert caught.value.field_errors["body"].reason == "batch_too_large"


def test_faults_of_a_batch_are_filed_by_index_and_field() -> None:
    with pytest.raises(InvalidInput) as caught:
        a_batch().read([request_of(), 5, request_of(event_type=None, event_outcome="bad")])

    assert list(caught.value.field_errors) == ["[1]", "[2].event_type", "[2].event_outcome"]
    assert caught.value.members["resource"] == "audit_events_batch"


def test_list_of_faults_stops_at_a_hundred() -> None:
    with pytest.raises(InvalidInput) as caught:
        a_batch(1000).read([{"version": "1.0"}] * 1000)

    assert len(caught.value.field_errors) == 100
    assert list(caught.value.field_errors)[-1] == "[14].event_timestamp"
