"""``POST /api/v1/audit/events/batch``: all events or none."""

from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection

from tests.support.builders import BATCH, EVENTS, an_event, now, rfc3339, unique
from tests.support.http import Api, assert_problem
from tests.support.stored import count_events, stored_event
from tests.support.writes import batch_created, created


def an_event_with_id(**fields: Any) -> dict[str, Any]:
    return an_event(event_id=str(uuid4()), **fields)


def test_batch_is_stored_and_its_ids_are_in_request_order(api: Api, owner: Connection) -> None:
    batch = [an_event() for _ in range(3)]

    answer = batch_created(api, batch)

    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json["message"] == "3 audit events created successfully"
    stored = [str(stored_event(owner, event["correlation_id"]).event_id) for event in batch]
    assert answer.json == {"event_ids": stored, "message": answer.json["message"]}


def test_events_of_a_batch_get_every_default(api: Api, owner: Connection) -> None:
    event = an_event(event_category="workflow")

    batch_created(api, [event])

    row = stored_event(owner, event["correlation_id"])
    assert (row.actor_type, row.actor_id, row.resource_type) == ("service", "workflow-service", "workflow")
    assert (row.resource_id, row.severity, row.retention_days) == (event["correlation_id"], "info", 2555)


def test_events_of_a_batch_keep_their_own_version(api: Api, owner: Connection) -> None:
    first, second = an_event(version="2.1"), an_event(version="1.0")

    batch_created(api, [first, second])

    assert stored_event(owner, first["correlation_id"]).event_version == "2.1"
    assert stored_event(owner, second["correlation_id"]).event_version == "1.0"


def test_hundred_events_are_stored_in_time(api: Api, owner: Connection) -> None:
    correlation_id = unique()
    started = monotonic()

    answer = batch_created(api, [an_event(correlation_id=correlation_id) for _ in range(100)])

    assert monotonic() - started < 5
    assert len(set(answer.json["event_ids"])) == 100
    assert count_events(owner, correlation_id) == 100


def test_largest_batch_is_stored(api: Api, owner: Connection) -> None:
    correlation_id = unique()

    batch_created(api, [an_event(correlation_id=correlation_id)] * 1000)

    assert count_events(owner, correlation_id) == 1000


def test_batch_may_span_days(api: Api, owner: Connection) -> None:
    batch = [an_event(event_timestamp=rfc3339(now(days=-days))) for days in range(6)]

    batch_created(api, batch)

    dates = [str(stored_event(owner, event["correlation_id"]).event_date) for event in batch]
    assert dates == [event["event_timestamp"][:10] for event in batch]


@pytest.mark.parametrize("parent_first", [True, False])
def test_parent_may_be_in_the_batch_at_any_position(
    api: Api, owner: Connection, *, parent_first: bool
) -> None:
    parent = an_event_with_id(event_timestamp=rfc3339(now(days=-1)))
    child = an_event(parent_event_id=parent["event_id"])

    batch_created(api, [parent, child] if parent_first else [child, parent])

    row = stored_event(owner, child["correlation_id"])
    assert str(row.parent_event_id) == parent["event_id"]
    assert str(row.parent_event_date) == parent["event_timestamp"][:10]


def test_parent_may_have_been_stored_before(api: Api, owner: Connection) -> None:
    parent_id = created(api, an_event()).json["event_id"]
    grandparent = an_event_with_id(parent_event_id=parent_id)
    child = an_event(parent_event_id=grandparent["event_id"])

    batch_created(api, [child, grandparent])

    assert str(stored_event(owner, child["correlation_id"]).parent_event_id) == grandparent["event_id"]


def test_batch_sent_again_counts_its_duplicates(api: Api, owner: Connection) -> None:
    correlation_id = unique()
    batch = [an_event_with_id(correlation_id=correlation_id) for _ in range(3)]
    batch_created(api, batch[:2])

    answer = batch_created(api, batch)

    assert answer.json["duplicates"] == 2
    assert answer.json["event_ids"] == [event["event_id"] for event in batch]
    assert answer.json["message"] == "3 audit events created successfully"
    assert count_events(owner, correlation_id) == 3


def test_event_twice_in_a_batch_is_stored_once(api: Api, owner: Connection) -> None:
    event = an_event_with_id()

    answer = batch_created(api, [event, an_event(), event])

    assert answer.json["duplicates"] == 1
    assert answer.json["event_ids"][0] == answer.json["event_ids"][2] == event["event_id"]
    assert count_events(owner, event["correlation_id"]) == 1


def test_id_stored_with_other_content_rejects_the_batch(api: Api, owner: Connection) -> None:
    event, neighbour = an_event_with_id(), an_event()
    created(api, event)

    answer = api.post(BATCH, [neighbour, event | {"event_action": "other"}])

    problem = assert_problem(answer, 409, "conflict")
    assert (problem["field"], problem["value"]) == ("event_id", event["event_id"])
    assert problem["resource"] == "audit_events_batch"
    assert count_events(owner, neighbour["correlation_id"]) == 0


def test_id_twice_in_a_batch_with_other_content_rejects_it(api: Api, owner: Connection) -> None:
    event = an_event_with_id()

    problem = assert_problem(api.post(BATCH, [event, event | {"event_data": {"x": 1}}]), 409, "conflict")

    assert problem["value"] == event["event_id"]
    assert count_events(owner, event["correlation_id"]) == 0


def test_event_of_a_batch_is_the_same_when_sent_alone(api: Api) -> None:
    event = an_event_with_id()
    batch_created(api, [event])

    assert api.post(EVENTS, event).status == 200


def test_older_names_of_members_are_understood(api: Api, owner: Connection) -> None:
    event = an_event(service="execution", event_category=None, cluster_id="eu-central-1a")

    batch_created(api, [event])

    row = stored_event(owner, event["correlation_id"])
    assert (row.event_category, row.cluster_name) == ("execution", "eu-central-1a")
