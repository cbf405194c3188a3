"""``GET /api/v1/audit/events/{event_id}``."""

from uuid import uuid4

import pytest
from sqlalchemy import Connection, insert

from datastorage.tables import audit_events
from tests.support.builders import EVENTS, an_event
from tests.support.event_rows import A_JANUARY_NOON, an_event_row
from tests.support.http import Api, assert_problem

UNKNOWN_ID = "3f2b8a56-0d4e-4c6f-9a1b-7e5d2c4b6a90"


def test_event_reads_back_by_its_id(api: Api) -> None:
    event = an_event(event_data={"消息": "磁盘空间不足", "nested": {"n": 12345678901234567890}})
    event_id = api.post(EVENTS, event).json["event_id"]

    answer = api.get(f"{EVENTS}/{event_id}")

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json["event_id"] == event_id
    assert answer.json["correlation_id"] == event["correlation_id"]
    assert answer.json["event_data"] == event["event_data"]
    assert "磁盘空间不足" in answer.body.decode()


def test_one_event_looks_like_it_does_in_a_list(api: Api) -> None:
    event = an_event(actor_ip="2001:db8::1", span_id="s", event_metadata={"k": 1}, error_message="boom")
    event_id = api.post(EVENTS, event).json["event_id"]

    one = api.get(f"{EVENTS}/{event_id}")
    listed = api.get(EVENTS, {"correlation_id": event["correlation_id"]})

    assert list(one.json.items()) == list(listed.json["data"][0].items())


def test_id_in_capitals_is_the_same_id(api: Api) -> None:
    event_id = api.post(EVENTS, an_event()).json["event_id"]

    answer = api.get(f"{EVENTS}/{event_id.upper()}")

    assert answer.json["event_id"] == event_id


def test_of_an_id_on_several_dates_the_latest_counts(api: Api, owner: Connection) -> None:
    event_id = uuid4()
    for day, action in ((14, "first"), (16, "latest"), (15, "second")):
        at = A_JANUARY_NOON.replace(day=day)
        row = an_event_row(event_id=event_id, event_timestamp=at, event_action=action)
        owner.execute(insert(audit_events).values(row))

    answer = api.get(f"{EVENTS}/{event_id}")

    assert answer.json["event_action"] == "latest"
    assert answer.json["event_date"] == "2026-01-16"


@pytest.mark.parametrize("event_id", [UNKNOWN_ID, "00000000-0000-0000-0000-000000000000"])
def test_unknown_id_is_not_found(api: Api, event_id: str) -> None:
    answer = api.get(f"{EVENTS}/{event_id}")

    problem = assert_problem(answer, 404, "not-found")
    assert problem["title"] == "Resource Not Found"
    assert problem["instance"] == f"{EVENTS}/{event_id}"


@pytest.mark.parametrize(
    "event_id",
    [
        "abc",
        "1",
        "3f2b8a560d4e4c6f9a1b7e5d2c4b6a90",
        "{3f2b8a56-0d4e-4c6f-9a1b-7e5d2c4b6a90}",
        "%00",
        "%ff",
        "%20",
    ],
)
def test_what_is_no_uuid_is_refused(api: Api, event_id: str) -> None:
    answer = api.get(f"{EVENTS}/{event_id}")

    problem = assert_problem(answer, 400, "validation-error")
    assert problem["field_errors"] == {"event_id": "must be a valid UUID"}
    assert problem["resource"] == "audit_event"
