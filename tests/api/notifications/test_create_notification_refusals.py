"""``POST /api/v1/audit/notifications``: every fault is named at once, and nothing is stored."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from sqlalchemy import Connection

from tests.support.builders import (
    ABSENT,
    HIDDEN_CHARACTERS,
    NOTIFICATIONS,
    a_notification,
    now,
    rfc3339,
    unique,
)
from tests.support.http import Api, assert_problem
from tests.support.stored import count_notifications

REQUIRED = (
    "remediation_id",
    "notification_id",
    "recipient",
    "channel",
    "message_summary",
    "status",
    "sent_at",
)
REQUIRED_TEXT = REQUIRED[:-1]

Refuse = Callable[..., dict[str, str]]


@pytest.fixture
def refuse(api: Api, owner: Connection, redis_url: str) -> Iterator[Refuse]:
    """Post a notification that is refused, and return its field errors; nothing is stored or queued."""
    queue = redis.Redis.from_url(redis_url)

    def post(**fields: Any) -> dict[str, str]:
        notification = a_notification(**fields)
        queued_before = queue.xlen("audit:dlq:notifications")
        problem = assert_problem(api.post(NOTIFICATIONS, notification), 400, "validation-error")
        field_errors: dict[str, str] = problem["field_errors"]
        faults = "; ".join(f"{name} - {message}" for name, message in field_errors.items())
        assert problem["detail"] == f"Validation failed for notification_audit: {faults}"
        assert (problem["title"], problem["resource"]) == ("Validation Error", "notification_audit")
        assert problem["instance"] == NOTIFICATIONS
        assert queue.xlen("audit:dlq:notifications") == queued_before
        notification_id = notification.get("notification_id")
        if isinstance(notification_id, str) and "\0" not in notification_id:
            assert count_notifications(owner, notification_id) == 0
        return field_errors

    yield post
    queue.close()


@pytest.mark.parametrize("name", ["remediation_id", "notification_id", "recipient"])
@pytest.mark.parametrize("character", HIDDEN_CHARACTERS, ids=ascii)
def test_identifier_with_a_hidden_character_is_refused(refuse: Refuse, name: str, character: str) -> None:
    message = f"must not contain control or invisible characters (got U+{ord(character):04X})"

    assert refuse(**{name: f"{unique()}{character}1"}) == {name: message}


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [ABSENT, None], ids=["absent", "null"])
def test_missing_required_field_is_named(refuse: Refuse, name: str, value: object) -> None:
    assert refuse(**{name: value}) == {name: "is required"}


@pytest.mark.parametrize("name", REQUIRED_TEXT)
@pytest.mark.parametrize("blank", ["", " \t"], ids=repr)
def test_blank_required_text_counts_as_missing(refuse: Refuse, name: str, blank: str) -> None:
    assert refuse(**{name: blank}) == {name: "is required"}


@pytest.mark.parametrize("name", [*REQUIRED_TEXT, "delivery_status", "error_message"])
@pytest.mark.parametrize("value", [5, False, {"x": 1}], ids=repr)
def test_text_of_another_type_is_refused(refuse: Refuse, name: str, value: Any) -> None:
    assert refuse(**{name: value}) == {name: "must be a string"}


@pytest.mark.parametrize(
    ("name", "maximum"),
    [
        ("remediation_id", 255),
        ("notification_id", 255),
        ("recipient", 255),
        ("channel", 50),
        ("status", 50),
        ("message_summary", 65536),
        ("delivery_status", 65536),
        ("error_message", 65536),
    ],
)
def test_text_over_its_limit_is_refused(refuse: Refuse, name: str, maximum: int) -> None:
    message = f"must be at most {maximum} characters (got {maximum + 1})"

    assert refuse(**{name: "x" * (maximum + 1)}) == {name: message}


@pytest.mark.parametrize("name", [*REQUIRED_TEXT, "delivery_status", "error_message"])
def test_nul_in_text_is_refused(refuse: Refuse, name: str) -> None:
    assert refuse(**{name: unique("a\0b")}) == {name: "must not contain NUL characters"}


@pytest.mark.parametrize("value", ["fax", "e-mail", " email", "\N{LATIN SMALL LETTER LONG S}ms"])
def test_channel_outside_its_list_is_refused(refuse: Refuse, value: str) -> None:
    message = f"must be one of: email, slack, pagerduty, sms, webhook (got '{value}')"

    assert refuse(channel=value) == {"channel": message}


@pytest.mark.parametrize("value", ["delivered", "success"])
def test_status_outside_its_list_is_refused(refuse: Refuse, value: str) -> None:
    message = f"must be one of: sent, failed, acknowledged, escalated, pending (got '{value}')"

    assert refuse(status=value) == {"status": message}


@pytest.mark.parametrize("value", ["yesterday", "", 1768378365, "2026-01-14", "2026-01-14T08:31:02"])
def test_time_in_another_notation_is_refused(refuse: Refuse, value: Any) -> None:
    assert refuse(sent_at=value) == {"sent_at": "must be an RFC 3339 timestamp with a time zone"}


@pytest.mark.parametrize("ahead", [{"minutes": 10}, {"days": 400}], ids=["10 minutes", "next year"])
def test_time_in_the_future_is_refused(refuse: Refuse, ahead: dict[str, float]) -> None:
    assert refuse(sent_at=rfc3339(now(**ahead))) == {"sent_at": "cannot be in the future"}


@pytest.mark.parametrize("unset", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"])
def test_unset_time_of_an_older_client_counts_as_missing(refuse: Refuse, unset: str) -> None:
    assert refuse(sent_at=unset) == {"sent_at": "is required"}


@pytest.mark.parametrize(
    ("level", "message"),
    [
        (-1, "must be non-negative"),
        (-1.0, "must be non-negative"),
        (101, "must be at most 100"),
        (10**30, "must be at most 100"),
        ("2", "must be an integer"),
        (1.5, "must be an integer"),
        (True, "must be an integer"),
    ],
)
def test_escalation_level_out_of_range_is_refused(refuse: Refuse, level: Any, message: str) -> None:
    assert refuse(escalation_level=level) == {"escalation_level": message}


def test_missing_fields_are_named_all_at_once(api: Api) -> None:
    answer = api.post(NOTIFICATIONS, {"recipient": "a@example.org", "channel": "email"})

    problem = assert_problem(answer, 400, "validation-error")
    missing = ("remediation_id", "notification_id", "message_summary", "status", "sent_at")
    assert problem["field_errors"] == dict.fromkeys(missing, "is required")


def test_every_fault_is_named_at_once(refuse: Refuse) -> None:
    faults = refuse(
        remediation_id="",
        notification_id="x" * 256,
        recipient=None,
        channel="fax",
        message_summary=ABSENT,
        status="unknown",
        sent_at="yesterday",
        escalation_level=101,
    )

    assert list(faults) == [*REQUIRED, "escalation_level"]


@pytest.mark.parametrize(
    "value", [[], [a_notification()], "text", 5, None], ids=["[]", "[N]", "text", "5", "null"]
)
def test_body_must_be_an_object(api: Api, value: Any) -> None:
    problem = assert_problem(api.post(NOTIFICATIONS, value), 400, "validation-error")

    assert list(problem["field_errors"]) == ["body"]
    assert problem["resource"] == "notification_audit"


def test_body_that_is_not_json_is_refused(api: Api) -> None:
    problem = assert_problem(api.post(NOTIFICATIONS, body=b"{broken"), 400, "validation-error")

    assert list(problem["field_errors"]) == ["body"]
    assert "not valid JSON" in problem["detail"]


def test_other_media_type_is_refused(api: Api) -> None:
    answer = api.request("POST", NOTIFICATIONS, body=b"x", headers={"Content-Type": "text/plain"})

    assert_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_records_are_neither_listed_nor_changed(api: Api, method: str) -> None:
    answer = api.request(method, NOTIFICATIONS)

    assert_problem(answer, 405, "method-not-allowed")
    assert "POST" in answer.headers["Allow"]
