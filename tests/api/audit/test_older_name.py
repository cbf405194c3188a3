"""``POST /api/v1/audit``: the older name of the single write, announced as such."""

from uuid import uuid4

import pytest
from sqlalchemy import Connection

from tests.support.builders import ABSENT, EVENTS, OLDER_NAME, an_event
from tests.support.http import Answer, Api, assert_problem
from tests.support.stored import count_events, stored_event


def assert_names_successor(answer: Answer) -> None:
    assert answer.headers["Deprecation"] == "true"
    assert answer.headers["Link"] == '</api/v1/audit/events>; rel="successor-version"'


def test_event_is_stored_as_under_the_new_name(api: Api, owner: Connection) -> None:
    event = an_event()

    answer = api.post(OLDER_NAME, event)

    assert answer.status == 201
    assert answer.json["message"] == "Audit event created successfully"
    assert_names_successor(answer)
    row = stored_event(owner, event["correlation_id"])
    assert str(row.event_id) == answer.json["event_id"]
    assert (row.actor_id, row.severity) == ("gateway-service", "info")


def test_event_is_the_same_under_both_names(api: Api, owner: Connection) -> None:
    event = an_event(event_id=str(uuid4()))
    api.post(EVENTS, event)

    again = api.post(OLDER_NAME, event)
    other = api.post(OLDER_NAME, event | {"event_action": "other"})

    assert again.status == 200
    assert_names_successor(again)
    problem = assert_problem(other, 409, "conflict")
    assert problem["instance"] == OLDER_NAME
    assert_names_successor(other)
    assert count_events(owner, event["correlation_id"]) == 1


def test_problem_names_the_path_that_was_called(api: Api) -> None:
    answer = api.post(OLDER_NAME, an_event(event_type=ABSENT))

    problem = assert_problem(answer, 400, "validation-error")
    assert problem["instance"] == OLDER_NAME
    assert problem["field_errors"] == {"event_type": "required field missing"}
    assert_names_successor(answer)


def test_media_type_is_checked_as_under_the_new_name(api: Api) -> None:
    answer = api.request("POST", OLDER_NAME, body=b"x", headers={"Content-Type": "text/plain"})

    assert_problem(answer, 415, "unsupported-media-type")
    assert_names_successor(answer)


def test_batch_is_not_accepted(api: Api, owner: Connection) -> None:
    event = an_event()

    problem = assert_problem(api.post(OLDER_NAME, [event]), 400, "validation-error")

    assert "JSON object" in problem["field_errors"]["body"]
    assert count_events(owner, event["correlation_id"]) == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_writing_is_possible(api: Api, method: str) -> None:
    answer = api.request(method, OLDER_NAME)

    assert_problem(answer, 405, "method-not-allowed")
    assert "POST" in answer.headers["Allow"]
    assert "GET" not in answer.headers["Allow"]


def test_new_name_announces_no_successor(api: Api) -> None:
    answer = api.post(EVENTS, an_event())

    assert "Deprecation" not in answer.headers
    assert "Link" not in answer.headers
