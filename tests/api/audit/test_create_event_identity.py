"""``POST /api/v1/audit/events``: ``event_id`` makes a write idempotent."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection

from tests.support.builders import EVENTS, an_event, now, rfc3339
from tests.support.http import Api, assert_problem
from tests.support.stored import count_events, stored_event
from tests.support.writes import created

NIL = "00000000-0000-0000-0000-000000000000"


def an_event_with_id(**fields: Any) -> dict[str, Any]:
    return an_event(event_id=str(uuid4()), **fields)


def test_event_sent_twice_without_an_id_is_stored_twice(api: Api, owner: Connection) -> None:
    event = an_event()

    first, second = created(api, event), created(api, event)

    assert first.json["event_id"] != second.json["event_id"]
    assert count_events(owner, event["correlation_id"]) == 2


@pytest.mark.parametrize("given", [NIL, "", "  ", None], ids=repr)
def test_nil_or_blank_id_means_absent(api: Api, given: str | None) -> None:
    answer = created(api, an_event(event_id=given))

    assert answer.json["event_id"] not in {NIL, given}


def test_id_of_the_client_is_used(api: Api, owner: Connection) -> None:
    event = an_event_with_id()

    answer = created(api, event | {"event_id": event["event_id"].upper()})

    assert answer.json["event_id"] == event["event_id"]
    assert str(stored_event(owner, event["correlation_id"]).event_id) == event["event_id"]


def test_event_sent_again_is_stored_once(api: Api, owner: Connection) -> None:
    event = an_event_with_id()
    first = created(api, event)

    second = api.post(EVENTS, event)

    assert second.status == 200
    assert second.headers["Content-Type"] == "application/json"
    assert second.json == first.json | {"message": "Audit event already exists"}
    assert count_events(owner, event["correlation_id"]) == 1


@pytest.mark.parametrize(
    "respelled",
    [
        {"event_data": {"b": [1.0, {"c": None}], "a": 100}},
        {"severity": "info", "actor_id": "gateway-service"},
        {"unknown_member": 1},
        {"event_outcome": None, "outcome": "success"},
    ],
    ids=["order and notation in the payload", "defaults spelled out", "unknown member", "older name"],
)
def test_same_content_in_other_words_is_the_same_event(api: Api, respelled: dict[str, Any]) -> None:
    event = an_event_with_id(event_data={"a": 1e2, "b": [1, {"c": None}]})
    created(api, event)

    assert api.post(EVENTS, event | respelled).status == 200


def test_same_instant_in_another_zone_is_the_same_event(api: Api) -> None:
    event = an_event_with_id(event_timestamp=now().strftime("%Y-%m-%dT%H:%M:%S.123456789Z"))
    created(api, event)

    again = event | {"event_timestamp": event["event_timestamp"].replace("789Z", "+00:00")}

    assert api.post(EVENTS, again).status == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"event_action": "other"},
        {"event_data": {"alert_name": "another"}},
        {"event_data": {"alert_name": "EtcdHighCommitLatency", "more": 1}},
        {"correlation_id": "rr-other"},
        {"namespace": "payments"},
        {"duration_ms": 0},
        {"event_metadata": {}},
        {"is_sensitive": True},
        {"retention_days": 7},
        {"version": "1.1"},
        {"actor_ip": "10.0.0.1"},
    ],
    ids=str,
)
def test_other_content_under_a_stored_id_is_a_conflict(
    api: Api, owner: Connection, changed: dict[str, Any]
) -> None:
    event = an_event_with_id()
    created(api, event)
    before = stored_event(owner, event["correlation_id"])

    problem = assert_problem(api.post(EVENTS, event | changed), 409, "conflict")

    assert (problem["field"], problem["value"]) == ("event_id", event["event_id"])
    assert (problem["title"], problem["resource"]) == ("Resource Conflict", "audit_event")
    assert stored_event(owner, event["correlation_id"]) == before


def test_other_instant_of_the_same_day_is_a_conflict(api: Api) -> None:
    at = now().replace(hour=0, minute=0, second=0, microsecond=0)
    event = an_event_with_id(event_timestamp=rfc3339(at))
    created(api, event)

    answer = api.post(EVENTS, event | {"event_timestamp": rfc3339(at.replace(microsecond=1))})

    assert_problem(answer, 409, "conflict")


def test_conflict_does_not_stop_the_original_from_being_repeated(api: Api) -> None:
    event = an_event_with_id()
    created(api, event)

    assert api.post(EVENTS, event | {"event_action": "other"}).status == 409
    assert api.post(EVENTS, event).status == 200
