"""Writes while PostgreSQL is gone are accepted, and stored as they were sent when it is back."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from tests.api.dlq.desk import NOTIFICATIONS_KEY, Desk
from tests.support.builders import (
    BATCH,
    EVENTS,
    NOTIFICATIONS,
    a_notification,
    an_event,
    now,
    rfc3339,
    unique,
)
from tests.support.isolated import IsolatedService
from tests.support.waiting import eventually
from tests.support.writes import created

FULL_EVENT: dict[str, Any] = {
    "event_timestamp": "2026-01-14T10:11:12.345678Z",
    "actor_type": "user",
    "actor_id": "jane",
    "actor_ip": "2001:db8::7",
    "resource_type": "Pod",
    "resource_id": "shop/checkout-7f",
    "resource_name": "checkout",
    "trace_id": "4bf92f3577b34da6",
    "span_id": "00f067aa0ba902b7",
    "namespace": "shop",
    "cluster_name": "eu-1",
    "severity": "critical",
    "duration_ms": 0,
    "error_code": "E42",
    "error_message": "Größe überschritten: \u2028 \U0001f600",
    "retention_days": 90,
    "is_sensitive": True,
    "event_data": {
        "fraction": 0.30000000000000004,
        "huge": 123456789012345678901234567890,
        "small": 1e-300,
        "nested": [{"a": [[], {}, None, True, "x\\u0000y"]}],
        "": "empty name",
    },
    "event_metadata": {},
}


def test_event_that_the_database_takes_is_not_queued(isolated: IsolatedService, desk: Desk) -> None:
    created(isolated.api, an_event())

    assert desk.depths() == (0, 0)


def test_event_without_postgresql_is_accepted_and_queued(isolated: IsolatedService, desk: Desk) -> None:
    isolated.postgres.stop()
    event = an_event(event_timestamp=rfc3339(now()))

    answer = isolated.api.post(EVENTS, event, body=None, **{"X-Request-ID": "req-42"})

    assert answer.status == 202
    body = answer.json
    assert set(body) == {"status", "message", "event_id", "event_timestamp"}
    assert (body["status"], body["message"]) == ("accepted", "audit event queued for async processing")
    assert desk.depths() == (1, 0)
    [fields] = desk.fields()
    assert set(fields) == {"message"}
    [entry] = desk.entries()
    assert (entry["type"], entry["retry_count"], entry["reason"]) == ("audit_event", 0, "db_unreachable")
    assert entry["timestamp"] == entry["first_enqueued_at"]
    assert entry["request_id"] == "req-42"
    assert entry["payload"]["event_id"] == body["event_id"]
    assert entry["payload"]["event_data"] == event["event_data"]
    assert desk.client.smembers("audit:dlq:events:ids") == {body["event_id"].encode()}


def test_queued_write_is_a_warning_and_not_an_error(isolated: IsolatedService) -> None:
    isolated.postgres.stop()
    ours = unique()

    isolated.api.post(EVENTS, an_event(correlation_id=ours))

    def lines() -> list[dict[str, Any]]:
        return [line for line in isolated.service.log_lines if line.get("correlation_id") == ours]

    eventually(lambda: "Audit write finished" in {line["msg"] for line in lines()})
    [line] = [line for line in lines() if line["msg"] == "Audit write finished"]
    assert line["level"].lower() in {"warn", "warning"}
    assert (line["outcome"], line["db_reason"]) == ("queued", "db_unreachable")
    assert not [line for line in lines() if line["level"].lower() == "error"]


def test_queued_event_is_stored_exactly_like_one_that_was_not(isolated: IsolatedService, desk: Desk) -> None:
    parent = created(isolated.api, an_event()).json["event_id"]
    ours = unique()
    event = an_event(**FULL_EVENT, correlation_id=ours, parent_event_id=parent)
    direct = created(isolated.api, event).json["event_id"]
    before = desk.scrape()
    isolated.postgres.stop()

    queued = isolated.api.post(EVENTS, event)
    answered_at = datetime.now(UTC)
    isolated.restore()
    desk.wait_until_empty()

    assert queued.status == 202
    row, twin = desk.row(queued.json["event_id"]), desk.row(direct)
    assert row.pop("event_id") == UUID(queued.json["event_id"])
    assert twin.pop("event_id") == UUID(direct)
    assert twin.pop("received_at") < row.pop("received_at") < answered_at
    assert row == twin
    assert row["event_timestamp"] == datetime(2026, 1, 14, 10, 11, 12, 345_678, tzinfo=UTC)
    assert row["parent_event_date"] is not None
    success = {"stream": "events", "result": "success"}
    assert desk.scrape().value("dlq_retry_total", **success) == before.value("dlq_retry_total", **success) + 1


def test_numbers_of_a_queued_event_keep_every_digit(isolated: IsolatedService, desk: Desk) -> None:
    isolated.postgres.stop()
    body = an_event(event_data={"n": 0.1, "list": [1.5, 2, -0.0, 1e22]})

    event_id = isolated.api.post(EVENTS, body).json["event_id"]
    isolated.restore()
    desk.wait_until_empty()

    stored = desk.row(event_id)["event_data"]
    assert stored == {"n": 0.1, "list": [1.5, 2, 0.0, 10**22]}
    assert not isinstance(stored["n"], str | Decimal)


def test_event_id_of_the_client_is_kept_and_its_repetition_stored_once(
    isolated: IsolatedService, desk: Desk
) -> None:
    event = an_event(event_id=str(uuid4()))
    isolated.postgres.stop()

    answers = [isolated.api.post(EVENTS, event) for _ in range(2)]
    isolated.restore()
    desk.wait_until_empty()

    assert [answer.status for answer in answers] == [202, 202]
    assert {answer.json["event_id"] for answer in answers} == {event["event_id"]}
    assert desk.rows(event_id=event["event_id"]) == 1
    assert isolated.api.post(EVENTS, event).status == 200
    assert desk.dead() == []


def test_other_event_under_a_queued_id_becomes_a_dead_letter(isolated: IsolatedService, desk: Desk) -> None:
    event = an_event(event_id=str(uuid4()))
    isolated.postgres.stop()

    for action in ("first", "second"):
        assert isolated.api.post(EVENTS, event | {"event_action": action}).status == 202
    isolated.restore()
    desk.wait_until_empty()

    assert desk.row(event["event_id"])["event_action"] == "first"
    assert [fields["reason"] for fields in desk.dead()] == [b"conflict"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (EVENTS, an_event(event_outcome="maybe")),
        (EVENTS, an_event(event_timestamp="yesterday")),
        (BATCH, [an_event(), an_event(event_outcome="maybe")]),
        (NOTIFICATIONS, a_notification(channel="pigeon")),
    ],
)
def test_invalid_request_without_postgresql_is_refused_and_not_queued(
    isolated: IsolatedService, desk: Desk, path: str, body: Any
) -> None:
    isolated.postgres.stop()

    answer = isolated.api.post(path, body)

    assert answer.status == 400
    assert desk.depths() == (0, 0)


def test_batch_without_postgresql_is_queued_in_its_order(isolated: IsolatedService, desk: Desk) -> None:
    ours = unique()
    given = str(uuid4())
    batch = [
        an_event(correlation_id=ours, event_action="child", parent_event_id=given),
        an_event(correlation_id=ours, event_action="parent", event_id=given),
        an_event(correlation_id=ours, event_action="third"),
    ]
    isolated.postgres.stop()

    answer = isolated.api.post(BATCH, batch)

    assert answer.status == 202
    body = answer.json
    assert (body["status"], body["count"]) == ("accepted", 3)
    assert body["message"] == "3 audit events queued for async processing"
    assert [entry["payload"]["event_id"] for entry in desk.entries()] == body["event_ids"]
    assert body["event_ids"][1] == given
    isolated.restore()
    desk.wait_until_empty()
    rows = [desk.row(event_id) for event_id in body["event_ids"]]
    assert [row["event_action"] for row in rows] == ["child", "parent", "third"]
    assert (rows[0]["parent_event_id"], rows[0]["parent_event_date"]) == (UUID(given), rows[1]["event_date"])


def test_notification_without_postgresql_is_queued_and_stored_as_sent(
    isolated: IsolatedService, desk: Desk
) -> None:
    notification = a_notification(error_message="timed out", escalation_level=3, status="failed")
    twin = notification | {"notification_id": unique("ntf")}
    assert isolated.api.post(NOTIFICATIONS, twin).status == 201
    isolated.postgres.stop()

    answer = isolated.api.post(NOTIFICATIONS, notification)

    assert answer.status == 202
    assert answer.json == {"status": "accepted", "message": "audit record queued for processing"}
    assert desk.depths() == (0, 1)
    [entry] = desk.entries(NOTIFICATIONS_KEY)
    assert (entry["type"], entry["retry_count"]) == ("notification_audit", 0)
    isolated.restore()
    desk.wait_until_empty()
    row, other = (desk.notification(each["notification_id"]) for each in (notification, twin))
    ours = {"id", "notification_id", "created_at", "updated_at"}
    assert {name: row[name] for name in row if name not in ours} == {
        name: other[name] for name in other if name not in ours
    }


def test_duplicate_notification_is_refused_and_not_queued(isolated: IsolatedService, desk: Desk) -> None:
    notification = a_notification()
    assert isolated.api.post(NOTIFICATIONS, notification).status == 201

    answer = isolated.api.post(NOTIFICATIONS, notification)

    assert answer.status == 409
    assert desk.depths() == (0, 0)


def test_every_outcome_of_a_write_is_counted(isolated: IsolatedService, desk: Desk) -> None:
    eventually(lambda: desk.depths() == (0, 0))  # what an earlier test left is written, and counted, too
    before = desk.scrape()
    created(isolated.api, an_event())
    isolated.api.post(EVENTS, an_event(event_outcome="maybe"))
    isolated.postgres.stop()
    isolated.api.post(EVENTS, an_event())

    after = desk.scrape()

    for status in ("success", "dlq_fallback"):
        labels = {"service": "gateway", "status": status}
        assert after.value("audit_traces_total", **labels) == before.value("audit_traces_total", **labels) + 1
    lag = "audit_lag_seconds_count"
    assert after.value(lag, service="gateway") == before.value(lag, service="gateway") + 1
    writes = "write_duration_seconds_count"
    assert after.value(writes, table="audit_events") == before.value(writes, table="audit_events") + 2
    refused = {"field": "event_outcome", "reason": "invalid"}
    counted = "validation_failures_total"
    assert after.value(counted, **refused) == before.value(counted, **refused) + 1


def test_read_only_server_queues_writes_and_answers_reads(isolated: IsolatedService, desk: Desk) -> None:
    set_read_only(isolated, "on")
    try:
        answer = isolated.api.post(EVENTS, an_event())
        read = isolated.api.get(EVENTS)
        reasons = [entry["reason"] for entry in desk.entries_anywhere()]
    finally:
        set_read_only(isolated, "off")

    assert answer.status == 202
    assert read.status == 200
    assert reasons == ["read_only"]
    desk.wait_until_empty()
    assert desk.is_stored(answer.json["event_id"])


def set_read_only(isolated: IsolatedService, value: str) -> None:
    """Let every transaction be read-only from now on, also on connections that are open."""
    url = make_url(isolated.postgres.url("postgres")).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("SET default_transaction_read_only = off"))
        connection.execute(text(f"ALTER SYSTEM SET default_transaction_read_only = {value}"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()
