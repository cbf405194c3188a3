"""A person writes under no other name; what its request says instead is kept as a claim (access.md 8.1)."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Row, select

from datastorage.tables import audit_events
from tests.api.access.conftest import Caller
from tests.support.builders import BATCH, EVENTS, OLDER_NAME, an_event
from tests.support.http import Answer, assert_problem
from tests.support.isolated import IsolatedService
from tests.support.proxy import ANA, BOB, GATEWAY, behind_proxy
from tests.support.started import StartService
from tests.support.stored import stored_event
from tests.support.waiting import eventually
from tests.support.workflow_builders import WORKFLOWS, a_workflow

CLAIMS = {
    "id alone": ({"actor_id": "gateway-service"}, {"id": "gateway-service"}),
    "type alone": ({"actor_type": "service"}, {"type": "service"}),
    "another person": ({"actor_type": "user", "actor_id": "bob"}, {"type": "user", "id": "bob"}),
    "own name as a service": ({"actor_type": "service", "actor_id": "ana"}, {"type": "service", "id": "ana"}),
}
NO_CLAIMS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "empty": {"actor_type": "", "actor_id": None},
    "the truth": {"actor_type": "user", "actor_id": "ana"},
    "half the truth": {"actor_id": "ana"},
}


@pytest.fixture(scope="module")
def proxied(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Caller:
    return Caller(start_service(**behind_proxy(tmp_path_factory.mktemp("policy"))).api)


def actor_of(event: Row[Any]) -> tuple[str, str, Any]:
    return event.actor_type, event.actor_id, event.event_metadata


# Events


@pytest.mark.parametrize("path", [EVENTS, OLDER_NAME, BATCH])
@pytest.mark.parametrize("said", CLAIMS)
def test_whom_a_person_names_instead_is_kept_as_a_claim(
    proxied: Caller, owner: Connection, path: str, said: str
) -> None:
    members, claim = CLAIMS[said]
    event = an_event(**members)

    answer = proxied.post(path, [event] if path == BATCH else event, **ANA)

    assert answer.status == 201
    stored = stored_event(owner, event["correlation_id"])
    assert actor_of(stored) == ("user", "ana", {"claimed_actor": claim})


@pytest.mark.parametrize("said", NO_CLAIMS)
def test_person_who_names_nobody_else_claims_nothing(proxied: Caller, owner: Connection, said: str) -> None:
    event = an_event(**NO_CLAIMS[said])

    assert proxied.post(EVENTS, event, **ANA).status == 201

    assert actor_of(stored_event(owner, event["correlation_id"])) == ("user", "ana", None)


def test_claim_stands_beside_the_metadata_and_replaces_one_that_was_sent(
    proxied: Caller, owner: Connection
) -> None:
    made_up = {"source": {"n": 12345678901234567890}, "claimed_actor": {"id": "root"}}
    named, unnamed = an_event(actor_id="bob", event_metadata=made_up), an_event(event_metadata=made_up)

    assert proxied.post(BATCH, [named, unnamed], **ANA).status == 201

    kept = {"source": made_up["source"]}
    assert stored_event(owner, named["correlation_id"]).event_metadata == kept | {
        "claimed_actor": {"id": "bob"}
    }
    assert stored_event(owner, unnamed["correlation_id"]).event_metadata == kept


def test_limits_are_those_of_what_was_sent(
    start_service: StartService, owner: Connection, tmp_path: Path
) -> None:
    service = start_service(**behind_proxy(tmp_path), LIMITS_MAX_EVENT_DATA_BYTES="64")
    event = an_event(event_data={}, event_metadata={"a": "x" * 52}, actor_id="bob")

    assert Caller(service.api).post(EVENTS, event, **ANA).status == 201

    assert stored_event(owner, event["correlation_id"]).event_metadata["claimed_actor"] == {"id": "bob"}


def test_service_names_whom_it_acts_for(proxied: Caller, owner: Connection) -> None:
    metadata = {"claimed_actor": {"id": "root"}}
    event = an_event(actor_type="user", actor_id="bob", event_metadata=metadata)
    silent = an_event()

    assert proxied.post(EVENTS, event, **GATEWAY).status == 201
    assert proxied.post(EVENTS, silent, **GATEWAY).status == 201

    assert actor_of(stored_event(owner, event["correlation_id"])) == ("user", "bob", metadata)
    assert actor_of(stored_event(owner, silent["correlation_id"])) == ("service", "gateway-service", None)


def test_without_access_control_events_stay_as_sent(start_service: StartService, owner: Connection) -> None:
    event = an_event(actor_type="user", actor_id="bob")

    assert start_service().api.post(EVENTS, event).status == 201

    assert actor_of(stored_event(owner, event["correlation_id"])) == ("user", "bob", None)


def test_event_is_the_same_again_only_from_the_same_person(proxied: Caller) -> None:
    event = an_event(event_id=str(uuid4()))

    assert proxied.post(EVENTS, event, **ANA).status == 201
    assert proxied.post(EVENTS, event, **ANA).status == 200
    assert_problem(proxied.post(EVENTS, event, **BOB), 409, "conflict")
    assert_problem(proxied.post(EVENTS, event | {"actor_id": "bob"}, **ANA), 409, "conflict")


def test_queued_event_keeps_its_actor_through_the_replay(isolated: IsolatedService, tmp_path: Path) -> None:
    event = an_event(actor_id="gateway-service", event_metadata={"n": 1})
    with isolated.another_service(tmp_path, **behind_proxy(tmp_path)) as service:
        isolated.postgres.stop()
        assert Caller(service.api).post(EVENTS, event, **ANA).status == 202
        isolated.restore()

        with isolated.owner() as owner:
            eventually(lambda: bool(rows_of(owner, event["correlation_id"])), timeout_seconds=60)
            stored = stored_event(owner, event["correlation_id"])

    claim = {"n": 1, "claimed_actor": {"id": "gateway-service"}}
    assert actor_of(stored) == ("user", "ana", claim)


# Workflows


def registered(proxied: Caller, caller: dict[str, str], **fields: Any) -> dict[str, Any]:
    answer = proxied.post(WORKFLOWS, a_workflow(**fields), **caller)
    assert answer.status == 201
    workflow: dict[str, Any] = answer.json
    return workflow


def change(proxied: Caller, workflow: dict[str, Any], caller: dict[str, str], **fields: Any) -> Answer:
    return _patched(proxied, workflow, "", caller, fields)


def disable(proxied: Caller, workflow: dict[str, Any], caller: dict[str, str], **fields: Any) -> Answer:
    return _patched(proxied, workflow, "/disable", caller, fields)


def _patched(
    proxied: Caller, workflow: dict[str, Any], action: str, caller: dict[str, str], fields: dict[str, Any]
) -> Answer:
    path = f"{WORKFLOWS}/{workflow['workflow_id']}{action}"
    headers = caller | {"Content-Type": "application/json"}
    return proxied.api.request("PATCH", path, body=json.dumps(fields).encode(), headers=headers)


def rows_of(owner: Connection, correlation_id: str) -> list[Row[Any]]:
    found = select(audit_events).where(audit_events.c.correlation_id == correlation_id)
    return list(owner.execute(found.order_by(audit_events.c.event_timestamp)))


def metadata_of(owner: Connection, workflow: dict[str, Any], count: int) -> list[Any]:
    """Return the metadata of the events about a workflow, as soon as there are ``count``."""
    eventually(lambda: len(rows_of(owner, workflow["workflow_id"])) >= count)
    return [event.event_metadata for event in rows_of(owner, workflow["workflow_id"])]


REQUESTED_BY_ANA = {"requested_by": {"name": "ana", "kind": "person"}}
REQUESTED_BY_GATEWAY = {
    "requested_by": {"name": "system:serviceaccount:kubernaut-system:gateway", "kind": "service"}
}


def test_person_registers_and_changes_workflows_under_its_name(proxied: Caller, owner: Connection) -> None:
    workflow = registered(proxied, ANA, created_by="bob", approved_by="carol")
    after = change(proxied, workflow, ANA, total_executions=3, updated_by="bob").json

    assert (workflow["created_by"], workflow["approved_by"]) == ("ana", "carol")
    assert after["updated_by"] == "ana"
    claim = REQUESTED_BY_ANA | {"claimed_actor": {"id": "bob"}}
    assert metadata_of(owner, workflow, 2) == [claim, claim]


def test_person_disables_a_workflow_under_its_name(proxied: Caller, owner: Connection) -> None:
    workflow = registered(proxied, ANA)

    after = change(proxied, workflow, ANA, status="disabled", disabled_by="bob", reason="flaky").json

    assert (after["disabled_by"], after["updated_by"]) == ("ana", "ana")
    assert metadata_of(owner, workflow, 2) == [
        REQUESTED_BY_ANA,
        REQUESTED_BY_ANA | {"claimed_actor": {"id": "bob"}},
    ]


@pytest.mark.parametrize("said", [{}, {"updated_by": "ana"}], ids=str)
def test_person_who_names_nobody_else_disables_under_its_name_too(
    proxied: Caller, owner: Connection, said: dict[str, str]
) -> None:
    workflow = registered(proxied, ANA)

    after = disable(proxied, workflow, ANA, **said).json

    assert (after["disabled_by"], after["updated_by"]) == ("ana", "ana")
    assert metadata_of(owner, workflow, 2) == [REQUESTED_BY_ANA] * 2


def test_services_name_whom_they_act_for_in_workflows(proxied: Caller, owner: Connection) -> None:
    workflow = registered(proxied, GATEWAY, created_by="bob")
    after = disable(proxied, workflow, GATEWAY, updated_by="carol").json

    assert (workflow["created_by"], after["disabled_by"], after["updated_by"]) == ("bob", "carol", "carol")
    assert metadata_of(owner, workflow, 2) == [REQUESTED_BY_GATEWAY] * 2


def test_person_who_changes_nothing_leaves_no_trace(proxied: Caller, owner: Connection) -> None:
    workflow = registered(proxied, GATEWAY, created_by="bob")

    assert "updated_by" not in change(proxied, workflow, ANA).json
    assert "updated_by" not in change(proxied, workflow, ANA, status="active", total_executions=0).json

    disabled = disable(proxied, workflow, BOB).json
    assert disable(proxied, workflow, ANA).json == disabled
    counted = change(proxied, workflow, ANA, total_executions=2).json
    assert (counted["disabled_by"], counted["updated_by"]) == ("bob", "ana")
    explained = change(proxied, workflow, ANA, reason="flaky").json
    assert (explained["disabled_by"], explained["disabled_reason"]) == ("ana", "flaky")
    assert len(metadata_of(owner, workflow, 4)) == 4
