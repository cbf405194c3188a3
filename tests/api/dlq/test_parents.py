"""A child is never refused because its parent, acknowledged earlier, still waits in the queue."""

from datetime import date
from typing import Any
from uuid import UUID, uuid4

from tests.api.dlq.desk import Desk
from tests.support.builders import BATCH, EVENTS, an_event
from tests.support.http import assert_problem
from tests.support.isolated import IsolatedService
from tests.support.waiting import eventually
from tests.support.writes import created


def in_month(month: date, **fields: Any) -> dict[str, Any]:
    return an_event(event_timestamp=f"{month:%Y-%m}-14T12:00:00Z", **fields)


# PostgreSQL detaches no partition whose rows are the parents of others: each test has a month of its own.
def test_child_of_a_queued_parent_waits_behind_it(isolated: IsolatedService, desk: Desk) -> None:
    away = date(2097, 5, 1)
    with desk.detached(away):
        parent = isolated.api.post(EVENTS, in_month(away))
        child = isolated.api.post(EVENTS, an_event(parent_event_id=parent.json["event_id"]))
        reasons = {entry["payload"]["event_id"]: entry["reason"] for entry in desk.entries_anywhere()}
        is_child_stored = desk.is_stored(child.json["event_id"])

    assert (parent.status, child.status) == (202, 202)
    assert reasons[child.json["event_id"]] == "parent_pending"
    assert not is_child_stored
    desk.wait_until_empty()
    row = desk.row(child.json["event_id"])
    assert row["parent_event_id"] == UUID(parent.json["event_id"])
    assert row["parent_event_date"] == date(2097, 5, 14)
    assert desk.is_stored(parent.json["event_id"])


def test_batch_with_a_child_of_a_queued_parent_is_queued_as_a_whole(
    isolated: IsolatedService, desk: Desk
) -> None:
    away = date(2097, 6, 1)
    with desk.detached(away):
        parent = isolated.api.post(EVENTS, in_month(away)).json["event_id"]
        batch = isolated.api.post(BATCH, [an_event(), an_event(parent_event_id=parent)])

    assert batch.status == 202
    desk.wait_until_empty()
    other, child = (desk.row(event_id) for event_id in batch.json["event_ids"])
    assert other["parent_event_date"] is None
    assert child["parent_event_date"] == date(2097, 6, 14)


def test_batch_is_refused_for_its_unknown_parent_only(isolated: IsolatedService, desk: Desk) -> None:
    away = date(2097, 7, 1)
    with desk.detached(away):
        parent = isolated.api.post(EVENTS, in_month(away)).json["event_id"]
        batch = [an_event(parent_event_id=parent), an_event(parent_event_id=str(uuid4()))]
        answer = isolated.api.post(BATCH, batch)

    problem = assert_problem(answer, 400, "validation-error")
    assert set(problem["field_errors"]) == {"[1].parent_event_id"}


def test_unknown_parent_is_refused_and_nothing_queued(isolated: IsolatedService, desk: Desk) -> None:
    answer = isolated.api.post(EVENTS, an_event(parent_event_id=str(uuid4())))

    assert_problem(answer, 400, "validation-error")
    assert desk.depths() == (0, 0)


def test_child_of_a_stored_parent_is_queued_without_postgresql(isolated: IsolatedService, desk: Desk) -> None:
    parent = created(isolated.api, in_month(date(2026, 1, 1))).json["event_id"]
    isolated.postgres.stop()

    answer = isolated.api.post(EVENTS, an_event(parent_event_id=parent))
    isolated.restore()
    desk.wait_until_empty()

    assert answer.status == 202
    assert desk.row(answer.json["event_id"])["parent_event_date"] == date(2026, 1, 14)


def test_acknowledged_child_of_an_unknown_parent_keeps_what_it_said(
    isolated: IsolatedService, desk: Desk
) -> None:
    isolated.postgres.stop()
    parent = str(uuid4())

    answer = isolated.api.post(EVENTS, an_event(parent_event_id=parent))
    isolated.restore()
    desk.wait_until_empty()

    row = desk.row(answer.json["event_id"])
    assert (row["parent_event_id"], row["parent_event_date"]) == (UUID(parent), None)


def test_child_of_a_parent_in_a_detached_month_waits_for_the_month(
    isolated: IsolatedService, desk: Desk
) -> None:
    away = date(2026, 2, 1)
    desk.make_month(away)
    parent = created(isolated.api, in_month(away)).json["event_id"]
    with desk.detached(away):
        child = isolated.api.post(EVENTS, an_event(parent_event_id=parent))
        batch = isolated.api.post(BATCH, [an_event(parent_event_id=parent), an_event()])
        _, other = batch.json["event_ids"]
        eventually(lambda: desk.is_stored(other))
        eventually(lambda: {entry["retry_count"] for entry in desk.parked()} >= {1})
        reasons = {entry["payload"]["event_id"]: entry["reason"] for entry in desk.entries_anywhere()}

    assert (child.status, batch.status) == (202, 202)
    assert reasons[child.json["event_id"]] == "partition_missing"
    desk.wait_until_empty()
    for event_id in (child.json["event_id"], batch.json["event_ids"][0]):
        row = desk.row(event_id)
        assert (row["parent_event_id"], row["parent_event_date"]) == (UUID(parent), date(2026, 2, 14))
    assert desk.dead() == []


def test_detached_month_after_the_child_is_no_place_for_its_parent(
    isolated: IsolatedService, desk: Desk
) -> None:
    with desk.detached(date(2097, 8, 1)):
        answer = isolated.api.post(EVENTS, an_event(parent_event_id=str(uuid4())))

    assert_problem(answer, 400, "validation-error")
    assert desk.depths() == (0, 0)


def test_acknowledged_event_that_is_its_own_parent_does_not_wait_for_itself(
    isolated: IsolatedService, desk: Desk
) -> None:
    event_id = str(uuid4())
    isolated.postgres.stop()

    answer = isolated.api.post(EVENTS, an_event(event_id=event_id, parent_event_id=event_id))
    isolated.restore()
    desk.wait_until_empty()

    assert answer.status == 202
    assert desk.row(event_id)["parent_event_date"] is None
