"""``received_at``: when the service accepted an event."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.support.builders import BATCH, EVENTS, OLDER_NAME, an_event, now, rfc3339, unique
from tests.support.http import Api, assert_problem

NDJSON = {"Accept": "application/x-ndjson"}


def stored(api: Api, event_id: str) -> dict[str, Any]:
    answer = api.get(f"{EVENTS}/{event_id}")
    assert answer.status == 200, answer.body
    members: dict[str, Any] = answer.json
    return members


def received_at(api: Api, event_id: str) -> datetime:
    return datetime.fromisoformat(stored(api, event_id)["received_at"])


@pytest.mark.parametrize("path", [EVENTS, OLDER_NAME])
def test_event_says_when_it_was_accepted(api: Api, path: str) -> None:
    before = datetime.now(UTC)

    event_id = api.post(path, an_event(event_timestamp=rfc3339(now(hours=-3)))).json["event_id"]

    members = stored(api, event_id)
    assert before <= datetime.fromisoformat(members["received_at"]) <= datetime.now(UTC)
    assert members["received_at"].endswith("Z")
    assert list(members)[2:4] == ["event_date", "received_at"]


def test_time_that_a_client_sends_is_ignored(api: Api) -> None:
    event_id = api.post(EVENTS, an_event(received_at="2020-01-01T00:00:00Z")).json["event_id"]

    assert received_at(api, event_id).year > 2020


def test_batch_is_received_at_one_time(api: Api) -> None:
    batch = [an_event(received_at=7), an_event(received_at=None), an_event()]

    ids = api.post(BATCH, batch).json["event_ids"]

    [at] = {received_at(api, event_id) for event_id in ids}
    assert at.year > 2020


def test_event_sent_again_is_the_same_and_keeps_its_time(api: Api) -> None:
    event = an_event(event_id=str(uuid4()))
    assert api.post(EVENTS, event).status == 201
    first = received_at(api, event["event_id"])

    again = api.post(EVENTS, event)
    in_a_batch = api.post(BATCH, [event])

    assert (again.status, in_a_batch.status) == (200, 201)
    assert in_a_batch.json["duplicates"] == 1
    assert received_at(api, event["event_id"]) == first


def test_filters_find_what_was_accepted_then_whatever_its_timestamp(api: Api) -> None:
    ours = unique()

    def write(action: str) -> datetime:
        late = an_event(correlation_id=ours, event_action=action, event_timestamp=rfc3339(now(hours=-3)))
        return received_at(api, api.post(EVENTS, late).json["event_id"])

    times = {action: write(action) for action in ("first", "second", "third")}
    since, until = rfc3339(times["second"]), rfc3339(times["third"])

    def found(**filters: str) -> set[str]:
        answer = api.get(EVENTS, {"correlation_id": ours, **filters})
        return {event["event_action"] for event in answer.json["data"]}

    assert found(received_since=since, received_until=since) == {"second"}
    assert found(received_since=since) == {"second", "third"}
    assert found(received_until=until) == {"first", "second", "third"}
    assert found(received_since="1h") == {"first", "second", "third"}
    assert found(until="1h", received_since=until) == {"third"}
    lines = api.get(EVENTS, {"correlation_id": ours, "received_since": until}, **NDJSON).body
    assert lines.count(b"\n") == 1


@pytest.mark.parametrize("name", ["received_since", "received_until"])
def test_bad_bound_is_named(api: Api, name: str) -> None:
    answer = api.get(EVENTS, {name: "x"})

    problem = assert_problem(answer, 400, "validation-error")
    assert list(problem["field_errors"]) == [name]


def test_body_and_line_of_an_export_are_the_same_bytes(api: Api) -> None:
    event = an_event(event_data={"n": 1.5, "ü": "\N{SNOWMAN}"})
    event_id = api.post(EVENTS, event).json["event_id"]

    body = api.get(f"{EVENTS}/{event_id}").body
    export = api.get(EVENTS, {"correlation_id": event["correlation_id"]}, **NDJSON).body

    assert export == body + b"\n"
