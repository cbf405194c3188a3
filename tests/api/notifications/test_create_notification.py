"""``POST /api/v1/audit/notifications``: one record per delivery, unique by its id."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Row, select

from datastorage.tables import notification_audit
from tests.support.builders import ABSENT, FREE_TEXT, NOTIFICATIONS, a_notification, now, rfc3339, widest
from tests.support.http import Answer, Api, assert_problem
from tests.support.stored import count_notifications


def created(api: Api, notification: dict[str, Any]) -> Answer:
    answer = api.post(NOTIFICATIONS, notification)
    assert answer.status == 201, answer.body
    return answer


def stored(owner: Connection, notification: dict[str, Any]) -> Row[Any]:
    of_id = notification_audit.c.notification_id == notification["notification_id"]
    return owner.execute(select(notification_audit).where(of_id)).one()


def test_names_as_long_as_documented_are_stored(api: Api) -> None:
    names = {name: widest(255) for name in ("notification_id", "remediation_id", "recipient")}

    assert created(api, a_notification(**names)).json.items() >= names.items()


def test_free_text_may_have_every_character(api: Api) -> None:
    texts = dict.fromkeys(("message_summary", "delivery_status", "error_message"), FREE_TEXT)

    assert created(api, a_notification(**texts)).json.items() >= texts.items()


def test_record_is_stored_and_returned(api: Api, owner: Connection) -> None:
    notification = a_notification(escalation_level=2, error_message="first attempt failed")

    answer = created(api, notification)

    assert answer.headers["Content-Type"] == "application/json"
    row = stored(owner, notification)
    told = {name: answer.json[name] for name in ("created_at", "updated_at")}
    assert answer.json == notification | {"id": row.id, **told}
    # As instants: a whole second is written without a fraction.
    assert [datetime.fromisoformat(each) for each in told.values()] == [row.created_at, row.updated_at]
    assert row.id > 0
    assert row.created_at == row.updated_at
    assert abs((now() - row.created_at).total_seconds()) < 60


def test_members_of_a_record_are_in_a_fixed_order(api: Api) -> None:
    answer = created(api, a_notification(error_message="x"))

    assert list(answer.json) == [
        "id",
        "remediation_id",
        "notification_id",
        "recipient",
        "channel",
        "message_summary",
        "status",
        "sent_at",
        "delivery_status",
        "error_message",
        "escalation_level",
        "created_at",
        "updated_at",
    ]


@pytest.mark.parametrize("value", [ABSENT, None, ""], ids=["absent", "null", "blank"])
@pytest.mark.parametrize("name", ["delivery_status", "error_message"])
def test_empty_text_is_left_out_of_the_answer(api: Api, owner: Connection, name: str, value: object) -> None:
    notification = a_notification(**{name: value})

    answer = created(api, notification)

    assert name not in answer.json
    assert stored(owner, notification)._mapping[name] is None


@pytest.mark.parametrize("level", [ABSENT, None, 0])
def test_escalation_begins_at_zero(api: Api, level: object) -> None:
    assert created(api, a_notification(escalation_level=level)).json["escalation_level"] == 0


def test_highest_escalation_level_is_a_hundred(api: Api) -> None:
    assert created(api, a_notification(escalation_level=100)).json["escalation_level"] == 100


@pytest.mark.parametrize("channel", ["email", "slack", "pagerduty", "sms", "webhook", "Email", "PAGERDUTY"])
def test_channel_is_stored_in_lower_case(api: Api, owner: Connection, channel: str) -> None:
    notification = a_notification(channel=channel)

    answer = created(api, notification)

    assert answer.json["channel"] == stored(owner, notification).channel == channel.lower()


@pytest.mark.parametrize(
    "status", ["sent", "failed", "acknowledged", "escalated", "pending", "SENT", "Escalated"]
)
def test_status_is_stored_in_lower_case(api: Api, owner: Connection, status: str) -> None:
    notification = a_notification(status=status)

    answer = created(api, notification)

    assert answer.json["status"] == stored(owner, notification).status == status.lower()


@pytest.mark.parametrize(
    ("name", "maximum"),
    [
        ("remediation_id", 255),
        ("recipient", 255),
        ("message_summary", 65536),
        ("delivery_status", 65536),
        ("error_message", 65536),
    ],
)
def test_longest_text_is_stored(api: Api, name: str, maximum: int) -> None:
    longest = "\N{ROCKET}" * maximum

    assert created(api, a_notification(**{name: longest})).json[name] == longest


def test_long_summary_is_stored(api: Api, owner: Connection) -> None:
    notification = a_notification(message_summary="x" * 10_000)

    created(api, notification)

    assert stored(owner, notification).message_summary == "x" * 10_000


@pytest.mark.parametrize(
    ("sent_at", "returned"),
    [
        ("2024-05-01T00:00:00Z", "2024-05-01T00:00:00Z"),
        ("0002-01-01T00:00:00Z", "0002-01-01T00:00:00Z"),
        ("2026-01-14T14:01:02.5+05:30", "2026-01-14T08:31:02.500000Z"),
        ("2026-01-14T08:31:02.123456999Z", "2026-01-14T08:31:02.123456Z"),
    ],
)
def test_record_of_any_age_is_stored(api: Api, owner: Connection, sent_at: str, returned: str) -> None:
    notification = a_notification(sent_at=sent_at)

    answer = created(api, notification)

    assert answer.json["sent_at"] == returned
    assert stored(owner, notification).sent_at == datetime.fromisoformat(returned)


def test_record_may_be_minutes_ahead_of_the_server(api: Api) -> None:
    sent_at = rfc3339(now(minutes=4, seconds=50))

    assert created(api, a_notification(sent_at=sent_at)).json["sent_at"] == sent_at


def test_members_that_the_server_owns_are_ignored(api: Api) -> None:
    unset = "0001-01-01T00:00:00Z"

    answer = created(api, a_notification(id=0, created_at=unset, updated_at=unset, unknown={"a": 1}))

    assert answer.json["id"] > 0
    assert answer.json["created_at"] != unset
    assert "unknown" not in answer.json


def test_text_is_kept_to_the_letter(api: Api) -> None:
    notification = a_notification(
        recipient=" <b>on-call</b> ", message_summary="'; DROP TABLE notification_audit; --\nبيئة 🚀"
    )

    answer = created(api, notification)

    assert answer.json["recipient"] == notification["recipient"]
    assert answer.json["message_summary"] == notification["message_summary"]


@pytest.mark.parametrize("changed", [{}, {"status": "failed"}], ids=["same", "other"])
def test_taken_id_is_a_conflict(api: Api, owner: Connection, changed: dict[str, str]) -> None:
    notification = a_notification()
    created(api, notification)
    before = stored(owner, notification)

    problem = assert_problem(api.post(NOTIFICATIONS, notification | changed), 409, "conflict")

    assert (problem["title"], problem["resource"]) == ("Resource Conflict", "notification_audit")
    assert (problem["field"], problem["value"]) == ("notification_id", notification["notification_id"])
    assert problem["instance"] == NOTIFICATIONS
    assert stored(owner, notification) == before


def test_same_record_from_many_writers_is_stored_once(api: Api, owner: Connection) -> None:
    notification = a_notification()

    with ThreadPoolExecutor(max_workers=20) as threads:
        answers = list(threads.map(lambda _: api.post(NOTIFICATIONS, notification), range(20)))

    assert Counter(answer.status for answer in answers) == {201: 1, 409: 19}
    assert count_notifications(owner, notification["notification_id"]) == 1
