"""What PostgreSQL will never take is told to the client, or to operators when the client has gone."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from datastorage.audit.event import to_payload
from datastorage.dlq.admin import QueueAdmin
from datastorage.dlq.entry import Entry, EntryType, Stream
from datastorage.dlq.keys import KEYS
from tests.api.dlq.conftest import StartProxied
from tests.api.dlq.desk import EVENTS_KEY, NOTIFICATIONS_KEY, Desk
from tests.lab.proxy import Mode
from tests.support.builders import (
    BATCH,
    EVENTS,
    NOTIFICATIONS,
    a_notification,
    an_audit_event,
    an_event,
    now,
    rfc3339,
)
from tests.support.http import assert_problem
from tests.support.isolated import IsolatedService
from tests.support.waiting import eventually


@pytest.fixture
def forbidden_action(desk: Desk) -> Iterator[str]:
    """A named CHECK constraint that validation knows nothing of."""
    desk.run(
        "ALTER TABLE audit_events ADD CONSTRAINT ck_audit_events_action "
        "CHECK (event_action <> 'forbidden') NOT VALID"
    )
    yield "forbidden"
    desk.run("ALTER TABLE audit_events DROP CONSTRAINT ck_audit_events_action")


def test_event_against_a_named_constraint_is_refused_and_not_queued(
    isolated: IsolatedService, desk: Desk, forbidden_action: str
) -> None:
    refused = {"field": "body", "reason": "database_constraint"}
    before = desk.scrape().value("validation_failures_total", **refused)

    answers = [
        isolated.api.post(EVENTS, an_event(event_action=forbidden_action)),
        isolated.api.post(BATCH, [an_event(), an_event(event_action=forbidden_action)]),
    ]

    for answer in answers:
        assert_problem(answer, 400, "validation-error")
    assert desk.depths() == (0, 0)
    assert desk.scrape().value("validation_failures_total", **refused) == before + 2


def test_queued_event_against_a_named_constraint_becomes_a_dead_letter(
    isolated: IsolatedService, desk: Desk, forbidden_action: str
) -> None:
    isolated.postgres.stop()
    accepted = isolated.api.post(EVENTS, an_event(event_action=forbidden_action))
    good = isolated.api.post(EVENTS, an_event())

    isolated.restore()
    desk.wait_until_empty()

    assert (accepted.status, good.status) == (202, 202)
    assert [fields["reason"] for fields in desk.dead()] == [b"invalid"]
    assert not desk.is_stored(accepted.json["event_id"])
    assert desk.is_stored(good.json["event_id"])


UNSTORABLE = [
    (EVENTS_KEY, "audit_event", an_event(event_id=str(uuid4()), event_category="x" * 51)),
    (EVENTS_KEY, "audit_event", an_event(event_id="no uuid")),
    (EVENTS_KEY, "audit_event", an_event(event_id=str(uuid4()), event_data={"a": "\x00"})),
    (NOTIFICATIONS_KEY, "notification_audit", a_notification(channel="pigeon")),
    (NOTIFICATIONS_KEY, "notification_audit", a_notification(sent_at="yesterday")),
]


@pytest.mark.parametrize(("key", "kind", "payload"), UNSTORABLE)
def test_entry_that_can_never_be_stored_becomes_a_dead_letter(
    desk: Desk, key: str, kind: str, payload: dict[str, Any]
) -> None:
    entry = {"type": kind, "payload": payload, "timestamp": rfc3339(datetime(2026, 1, 14, tzinfo=UTC))}

    desk.client.xadd(key, {"message": msgspec.json.encode(entry)})

    eventually(lambda: [fields["reason"] for fields in desk.dead(key)] == [b"invalid"])
    assert desk.is_empty()


@pytest.mark.parametrize("is_dead", [False, True], ids=["queued", "dead letter"])
def test_event_of_another_writer_without_retention_is_stored_with_the_default(
    desk: Desk, *, is_dead: bool
) -> None:
    event = an_audit_event()
    at = now()
    payload = to_payload(event) | {"retention_days": 0}
    entry = Entry(type=EntryType.AUDIT_EVENT, payload=payload, timestamp=at, first_enqueued_at=at)
    keys = KEYS[Stream.EVENTS]

    desk.client.xadd(keys.dead if is_dead else keys.stream, {"message": entry.encode()})
    if is_dead:
        admin = QueueAdmin(desk.client)
        [letter] = admin.entries(Stream.EVENTS, dead=True)
        assert admin.bring_back(Stream.EVENTS, letter, at)
    desk.wait_until_empty()

    assert (desk.dead(), desk.row(str(event.event_id))["retention_days"]) == ([], 2555)


@pytest.fixture
def slow_action(desk: Desk) -> Iterator[str]:
    """Rows with this action take longer than any statement may."""
    desk.run(
        "CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$"
    )
    desk.run(
        "CREATE TRIGGER slow BEFORE INSERT ON audit_events FOR EACH ROW "
        "WHEN (NEW.event_action = 'slow') EXECUTE FUNCTION take_long()"
    )
    yield "slow"
    desk.run("DROP TRIGGER slow ON audit_events")
    desk.run("DROP FUNCTION take_long()")


def test_record_that_runs_into_the_time_limit_stops_nothing_behind_it(
    start_proxied: StartProxied, slow_action: str
) -> None:
    limits = {
        "AUDIT_WRITE_TIMEOUT": "1s",
        "DATABASE_WRITE_LOCK_TIMEOUT": "500ms",
        "REDIS_DLQ_MAX_RETRIES": "2",
        "REDIS_DLQ_BACKOFF": "1s",
    }
    proxied = start_proxied(**limits)
    proxied.proxy.mode = Mode.REFUSE
    slow = proxied.api.post(EVENTS, an_event(event_action=slow_action)).json["event_id"]
    quick = [proxied.api.post(EVENTS, an_event()).json["event_id"] for _ in range(3)]
    notification = a_notification()
    assert proxied.api.post(NOTIFICATIONS, notification).status == 202

    proxied.proxy.mode = Mode.PASS
    proxied.desk.wait_until_empty()

    assert [proxied.desk.is_stored(event_id) for event_id in [slow, *quick]] == [False, True, True, True]
    assert proxied.desk.notifications(notification["notification_id"]) == 1
    assert [letter["reason"] for letter in proxied.desk.dead()] == [b"max_retries"]
