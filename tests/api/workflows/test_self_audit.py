"""The catalogue audits itself: searches, creates and updates appear in ``audit_events`` shortly after."""

import signal as signals
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Row, select

from datastorage.tables import audit_events
from datastorage.workflows.events import query_hash
from tests.support.builders import unique
from tests.support.http import Api, assert_problem
from tests.support.isolated import IsolatedService
from tests.support.waiting import eventually
from tests.support.workflow_builders import (
    SEARCH,
    WORKFLOWS,
    a_plain_workflow,
    a_search,
    a_workflow,
    labels,
    patch,
    path_of,
    register,
)

VISIBLE_SECONDS = 5


def events_of(connection: Connection, correlation_id: str, count: int = 1) -> list[Row[Any]]:
    """Return the events of a correlation, oldest first, as soon as there are ``count`` of them."""
    found = select(audit_events).where(audit_events.c.correlation_id == correlation_id)
    eventually(lambda: len(connection.execute(found).all()) >= count, VISIBLE_SECONDS)
    return list(connection.execute(found.order_by(audit_events.c.event_timestamp)))


@pytest.fixture
def wanted() -> str:
    return f"{unique('Audited')}/high/node/production/P1"


def test_search_writes_one_event(api: Api, owner: Connection, wanted: str) -> None:
    workflow = register(api, labels=labels(wanted))
    remediation_id = unique()

    answer = api.post(SEARCH, a_search(wanted, remediation_id=remediation_id, top_k=7, min_score=0.3)).json

    (event,) = events_of(owner, remediation_id)
    assert (event.event_type, event.event_version) == ("workflow.catalog.search_completed", "1.0")
    assert (event.event_category, event.event_action) == ("workflow", "search_completed")
    assert (event.event_outcome, event.severity, event.retention_days) == ("success", "info", 2555)
    assert (event.actor_type, event.actor_id) == ("service", "datastorage")
    assert event.resource_type == "workflow_catalog"
    assert event.duration_ms >= 0
    assert event.event_data == {
        "query": {
            "top_k": 7,
            "min_score": 0.3,
            "include_disabled": False,
            "filters": answer["filters"],
        },
        "results": {
            "total_found": 1,
            "returned": 1,
            "workflows": [
                {
                    "workflow_id": workflow["workflow_id"],
                    "workflow_name": workflow["workflow_name"],
                    "version": workflow["version"],
                    "title": workflow["name"],
                    "description": workflow["description"],
                    "owner": workflow["owner"],
                    "maintainer": workflow["maintainer"],
                    "rank": 1,
                    "labels": workflow["labels"],
                    "scoring": {
                        "confidence": 0.5,
                        "mandatory_match_score": 5.0,
                        "detected_label_boost": 0.0,
                        "custom_label_boost": 0.0,
                        "label_penalty": 0.0,
                    },
                }
            ],
        },
        "search_metadata": {"duration_ms": event.duration_ms, "search_mode": "label_only"},
        "result": "matches",
    }


def test_event_of_a_search_is_found_through_the_api(api: Api, owner: Connection, wanted: str) -> None:
    remediation_id = unique()
    api.post(SEARCH, a_search(wanted, remediation_id=remediation_id))
    events_of(owner, remediation_id)

    page = api.get("/api/v1/audit/events", {"correlation_id": remediation_id}).json

    assert [event["event_type"] for event in page["data"]] == ["workflow.catalog.search_completed"]


def test_owner_and_maintainer_that_are_not_known_are_left_out(
    api: Api, owner: Connection, wanted: str
) -> None:
    register(api, **a_plain_workflow(wanted, owner=None, maintainer=None))
    remediation_id = unique()

    api.post(SEARCH, a_search(wanted, remediation_id=remediation_id))

    (event,) = events_of(owner, remediation_id)
    assert not {"owner", "maintainer"} & event.event_data["results"]["workflows"][0].keys()


def test_search_that_finds_nothing_is_a_success(api: Api, owner: Connection, wanted: str) -> None:
    remediation_id = unique()

    api.post(SEARCH, a_search(wanted, remediation_id=remediation_id))

    (event,) = events_of(owner, remediation_id)
    assert event.event_outcome == "success"
    assert event.event_data["results"] == {"total_found": 0, "returned": 0, "workflows": []}
    assert event.event_data["result"] == "no_matches"


def test_event_tells_found_from_returned(api: Api, owner: Connection, wanted: str) -> None:
    for _ in range(3):
        register(api, labels=labels(wanted))
    remediation_id = unique()

    api.post(SEARCH, a_search(wanted, remediation_id=remediation_id, top_k=2))

    (event,) = events_of(owner, remediation_id)
    results = event.event_data["results"]
    assert (results["total_found"], results["returned"], len(results["workflows"])) == (3, 2, 2)


def test_descriptions_too_long_for_an_event_are_left_out(api: Api, owner: Connection, wanted: str) -> None:
    register(api, labels=labels(wanted), description="x" * (1 << 20))
    remediation_id = unique()

    answer = api.post(SEARCH, a_search(wanted, remediation_id=remediation_id)).json

    assert len(answer["workflows"][0]["description"]) == 1 << 20
    (event,) = events_of(owner, remediation_id)
    assert "description" not in event.event_data["results"]["workflows"][0]


@pytest.mark.parametrize("remediation_id", [None, ""])
def test_search_without_remediation_is_filed_under_its_labels(
    api: Api, owner: Connection, wanted: str, remediation_id: str | None
) -> None:
    filed_under = query_hash(labels(wanted))

    for _ in range(2):
        api.post(SEARCH, a_search(wanted, remediation_id=remediation_id))
    api.post(SEARCH, a_search(wanted, component="pod"))

    found = events_of(owner, filed_under, 2)
    assert [event.resource_id for event in found] == [filed_under] * 2
    events_of(owner, query_hash(labels(wanted) | {"component": "pod"}))


def test_refused_search_writes_nothing(api: Api, owner: Connection, wanted: str) -> None:
    refused, accepted = unique(), unique()
    assert_problem(
        api.post(SEARCH, a_search(wanted, remediation_id=refused, top_k=0)), 400, "validation-error"
    )

    api.post(SEARCH, a_search(wanted, remediation_id=accepted))

    events_of(owner, accepted)
    assert owner.execute(select(audit_events).where(audit_events.c.correlation_id == refused)).first() is None


def test_create_writes_an_event(api: Api, owner: Connection) -> None:
    created = register(api)

    (event,) = events_of(owner, created["workflow_id"])

    assert event.event_type == "datastorage.workflow.created"
    assert (event.event_category, event.event_action, event.event_outcome) == (
        "workflow",
        "create",
        "success",
    )
    assert (event.resource_type, event.resource_id) == ("Workflow", created["workflow_id"])
    assert (event.actor_type, event.actor_id) == ("service", "datastorage")
    names = (
        "workflow_id", "workflow_name", "version", "status", "is_latest_version", "execution_engine", "name",
        "description", "labels",
    )  # fmt: skip
    assert event.event_data == {
        "version": "1.0",
        "service": "datastorage",
        "operation": "workflow_created",
        "status": "success",
        "payload": {name: created[name] for name in names},
    }


def test_update_writes_what_changed(api: Api, owner: Connection) -> None:
    created = register(api)

    patch(api, path_of(created), {"total_executions": 8, "successful_executions": 6})

    event = events_of(owner, created["workflow_id"], 2)[1]
    assert (event.event_type, event.event_action) == ("datastorage.workflow.updated", "update")
    assert event.event_data["operation"] == "workflow_updated"
    assert event.event_data["payload"] == {
        "workflow_id": created["workflow_id"],
        "updated_fields": {
            "status": "active",
            "total_executions": 8,
            "successful_executions": 6,
            "actual_success_rate": 0.75,
        },
    }


def test_disable_writes_who_and_why(api: Api, owner: Connection) -> None:
    created = register(api)

    after = patch(api, path_of(created, "/disable"), {"reason": "flaky", "updated_by": "ops"}).json

    event = events_of(owner, created["workflow_id"], 2)[1]
    assert event.event_data["payload"]["updated_fields"] == {
        "status": "disabled",
        "status_reason": "flaky",
        "disabled_at": after["disabled_at"],
        "disabled_by": "ops",
        "disabled_reason": "flaky",
        "updated_by": "ops",
    }


def test_what_changes_nothing_writes_nothing(api: Api, owner: Connection) -> None:
    created = register(api)
    patch(api, path_of(created), {})
    patch(api, path_of(created), {"status": "active", "total_executions": 0})
    assert_problem(patch(api, path_of(created), {"owner": "x"}), 400, "immutable-field-violation")
    assert_problem(api.post(WORKFLOWS, a_workflow(workflow_name=created["workflow_name"])), 409, "conflict")

    patch(api, path_of(created), {"status": "archived"})

    types = [event.event_type for event in events_of(owner, created["workflow_id"], 2)]
    assert types == ["datastorage.workflow.created", "datastorage.workflow.updated"]


def test_search_does_not_wait_for_the_audit_store(isolated: IsolatedService, wanted: str) -> None:
    remediation_ids = [unique() for _ in range(20)]
    register(isolated.api, labels=labels(wanted))

    with isolated.locked_events():
        answers = [
            isolated.api.post(SEARCH, a_search(wanted, remediation_id=each)) for each in remediation_ids
        ]

    assert [answer.json["total_results"] for answer in answers] == [1] * 20
    with isolated.owner() as connection:
        eventually(lambda: stored(connection, remediation_ids) == sorted(remediation_ids))


def stored(connection: Connection, correlation_ids: list[str]) -> list[str]:
    found = select(audit_events.c.correlation_id).where(audit_events.c.correlation_id.in_(correlation_ids))
    return sorted(connection.scalars(found))


def test_events_that_wait_at_shutdown_are_written(
    isolated: IsolatedService, tmp_path: Path, wanted: str
) -> None:
    remediation_ids = [unique() for _ in range(20)]
    with isolated.another_service(tmp_path) as service:
        for each in remediation_ids:
            assert service.api.post(SEARCH, a_search(wanted, remediation_id=each)).status == 200
        service.signal(signals.SIGTERM)
        assert service.wait() == 0

    with isolated.owner() as connection:
        assert stored(connection, remediation_ids) == sorted(remediation_ids)
