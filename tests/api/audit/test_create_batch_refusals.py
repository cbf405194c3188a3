"""``POST /api/v1/audit/events/batch``: one bad event rejects the batch, and every fault is named."""

from typing import Any
from uuid import uuid4

import pytest
import redis
from sqlalchemy import Connection

from tests.support.builders import ABSENT, BATCH, an_event, unique
from tests.support.http import Api, assert_problem
from tests.support.stored import count_events

UNKNOWN_PARENT = "11111111-2222-4333-8444-555555555555"
PARENT_MISSING = "parent event does not exist"
OWN_ANCESTOR = "makes the event an ancestor of itself"


def refused(api: Api, batch: Any) -> dict[str, Any]:
    problem = assert_problem(api.post(BATCH, batch), 400, "validation-error")
    assert problem["resource"] == "audit_events_batch"
    assert problem["instance"] == BATCH
    assert problem["title"] == "Validation Error"
    return problem


def test_batch_with_one_invalid_event_stores_none(api: Api, owner: Connection, redis_url: str) -> None:
    correlation_id = unique()
    batch = [
        an_event(correlation_id=correlation_id),
        an_event(correlation_id=correlation_id, event_type=ABSENT),
    ]
    with redis.Redis.from_url(redis_url) as queue:
        queued_before = queue.xlen("audit:dlq:events")

        problem = refused(api, batch)

        assert queue.xlen("audit:dlq:events") == queued_before
    assert problem["field_errors"] == {"[1].event_type": "required field missing"}
    assert problem["detail"] == (
        "Validation failed for audit_events_batch: event at index 1: event_type - required field missing"
    )
    assert count_events(owner, correlation_id) == 0


def test_every_fault_of_every_event_is_named(api: Api) -> None:
    batch = [
        an_event(event_type=ABSENT, event_outcome="ok"),
        an_event(),
        an_event(severity="x" * 21),
    ]

    problem = refused(api, batch)

    assert list(problem["field_errors"]) == ["[0].event_type", "[0].event_outcome", "[2].severity"]
    assert problem["detail"].startswith(
        "Validation failed for audit_events_batch: event at index 0: event_type"
    )
    assert "event at index 2: severity - must be at most 20 characters (got 21)" in problem["detail"]


@pytest.mark.parametrize("value", [5, None, "text", [], [an_event()]], ids=["5", "null", "text", "[]", "[E]"])
def test_element_that_is_not_an_object_is_named(api: Api, owner: Connection, value: Any) -> None:
    event = an_event()

    problem = refused(api, [event, value])

    assert problem["field_errors"] == {"[1]": "must be a JSON object"}
    assert count_events(owner, event["correlation_id"]) == 0


@pytest.mark.parametrize(
    "value", [an_event(), {}, "text", 5, None, True], ids=["E", "{}", "text", "5", "null", "true"]
)
def test_body_must_be_an_array(api: Api, value: Any) -> None:
    problem = refused(api, value)

    assert problem["field_errors"] == {"body": "request body must be a JSON array"}
    assert "array" in problem["detail"]


def test_empty_batch_is_refused(api: Api) -> None:
    problem = refused(api, [])

    assert problem["field_errors"] == {"body": "batch cannot be empty"}
    assert "empty" in problem["detail"]


def test_batch_over_the_limit_is_refused(api: Api, owner: Connection) -> None:
    correlation_id = unique()

    answer = api.post(BATCH, [an_event(correlation_id=correlation_id)] * 1001)

    problem = assert_problem(answer, 400, "batch-size-exceeded")
    assert problem["title"] == "Batch Size Exceeded"
    assert list(problem["field_errors"]) == ["body"]
    assert "1000" in problem["detail"]
    assert count_events(owner, correlation_id) == 0


def test_at_most_a_hundred_faults_are_listed(api: Api) -> None:
    problem = refused(api, [{}] * 1000)

    assert len(problem["field_errors"]) == 100
    assert "[0].version" in problem["field_errors"]


def test_unknown_parent_is_named_with_its_event(api: Api, owner: Connection) -> None:
    correlation_id = unique()
    batch = [
        an_event(correlation_id=correlation_id),
        an_event(correlation_id=correlation_id, parent_event_id=UNKNOWN_PARENT),
        an_event(correlation_id=correlation_id, parent_event_id=str(uuid4())),
    ]

    problem = refused(api, batch)

    assert problem["field_errors"] == {
        "[1].parent_event_id": PARENT_MISSING,
        "[2].parent_event_id": PARENT_MISSING,
    }
    assert f"event at index 1: parent_event_id - {PARENT_MISSING}" in problem["detail"]
    assert count_events(owner, correlation_id) == 0


def test_parent_that_lacks_its_own_parent_is_named(api: Api, owner: Connection) -> None:
    parent = an_event(event_id=str(uuid4()), parent_event_id=UNKNOWN_PARENT)
    child = an_event(parent_event_id=parent["event_id"])

    problem = refused(api, [child, parent])

    assert problem["field_errors"] == {"[1].parent_event_id": PARENT_MISSING}
    assert count_events(owner, child["correlation_id"]) == 0


def test_event_of_a_batch_cannot_be_its_own_parent(api: Api) -> None:
    event_id = str(uuid4())

    problem = refused(api, [an_event(event_id=event_id, parent_event_id=event_id)])

    assert problem["field_errors"] == {"[0].parent_event_id": OWN_ANCESTOR}


@pytest.mark.parametrize("length", [2, 3, 50])
def test_events_of_a_batch_that_are_each_others_ancestors_are_named(
    api: Api, owner: Connection, length: int
) -> None:
    correlation_id = unique()
    ids = [str(uuid4()) for _ in range(length)]
    batch = [
        an_event(correlation_id=correlation_id),
        an_event(correlation_id=correlation_id, parent_event_id=ids[0]),
        *(
            an_event(correlation_id=correlation_id, event_id=event_id, parent_event_id=parent_id)
            for event_id, parent_id in zip(ids, [*ids[1:], ids[0]], strict=True)
        ),
    ]

    problem = refused(api, batch)

    circle = range(2, 2 + length)
    assert problem["field_errors"] == {f"[{index}].parent_event_id": OWN_ANCESTOR for index in circle}
    assert f"event at index 2: parent_event_id - {OWN_ANCESTOR}" in problem["detail"]
    assert count_events(owner, correlation_id) == 0


def test_invalid_event_is_named_before_parents_are_looked_up(api: Api) -> None:
    problem = refused(api, [an_event(parent_event_id=UNKNOWN_PARENT), an_event(version=ABSENT)])

    assert list(problem["field_errors"]) == ["[1].version"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_batches_are_neither_changed_nor_removed(api: Api, method: str) -> None:
    answer = api.request(method, BATCH)

    assert_problem(answer, 405, "method-not-allowed")
    assert "POST" in answer.headers["Allow"]
