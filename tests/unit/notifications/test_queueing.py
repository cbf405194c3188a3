import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastorage.dlq.entry import Entry, EntryType, decode
from datastorage.dlq.payload import InvalidPayload
from datastorage.notifications.model import Notification, from_payload, to_payload
from datastorage.notifications.schemas import NotificationSchema
from datastorage.platform.web.characters import FREE_TEXT, IDENTIFIER, Characters
from tests.support.builders import a_notification

NOW = datetime(2026, 3, 4, 10, 11, 13, 2114, tzinfo=UTC)
SCHEMA = NotificationSchema(lambda: NOW)


def texts_of(characters: Characters) -> st.SearchStrategy[str]:
    valid = st.characters(codec="utf-8").filter(lambda each: characters.fault_of(each) is None)
    return st.text(valid, min_size=1, max_size=50).filter(lambda text: bool(text.strip()))


names, texts = texts_of(IDENTIFIER), texts_of(FREE_TEXT)
requests = st.fixed_dictionaries(
    {
        "remediation_id": names,
        "notification_id": names,
        "recipient": names,
        "message_summary": texts,
        "sent_at": st.datetimes(datetime(1970, 1, 1), datetime(2026, 3, 4)).map(  # noqa: DTZ001 - the zone is in the text
            lambda at: f"{at.isoformat()}Z"
        ),
    },
    optional={
        "delivery_status": texts,
        "error_message": texts,
        "escalation_level": st.integers(0, 100),
    },
)


def through_the_queue(notification: Notification) -> Notification:
    """Return what a replay sees of ``notification``."""
    entry = Entry(
        type=EntryType.NOTIFICATION_AUDIT,
        payload=to_payload(notification),
        timestamp=NOW,
        first_enqueued_at=NOW,
    )
    return from_payload(decode(entry.encode()).payload)


@given(requests)
def test_whatever_a_client_may_send_comes_back_equal(request: dict[str, Any]) -> None:
    notification = SCHEMA.read(SCHEMA.decode(json.dumps(a_notification() | request).encode()))

    assert through_the_queue(notification) == notification


def test_absent_members_are_left_out() -> None:
    request = a_notification(error_message=None)

    payload = to_payload(SCHEMA.read(request))

    assert "error_message" not in payload


def test_time_of_another_zone_becomes_utc() -> None:
    payload = a_notification(sent_at="2026-01-14T09:31:02.5+01:00")

    assert from_payload(payload).sent_at == datetime(2026, 1, 14, 8, 31, 2, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "members", [{"sent_at": "yesterday"}, {"recipient": None}, {"escalation_level": "high"}, {"channel": 7}]
)
def test_payload_that_no_row_could_hold_is_invalid(members: dict[str, Any]) -> None:
    with pytest.raises(InvalidPayload):
        from_payload(a_notification() | members)
