"""What PostgreSQL will never take is told to the client, or to operators when the client has gone."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from tests.api.dlq.desk import EVENTS_KEY, NOTIFICATIONS_KEY, Desk
from tests.support.builders import BATCH, EVENTS, a_notification, an_event, rfc3339
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
