"""``POST /api/v1/incidents``."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, select

from datastorage.tables import action_histories, resource_action_traces, resource_references
from tests.support.builders import ABSENT, FREE_TEXT, now, rfc3339, unique, widest
from tests.support.http import Answer, Api, assert_problem
from tests.support.incident_builders import INCIDENTS, an_incident, insert_history
from tests.support.incident_stand import CHINESE, ids


def created(answer: Answer) -> dict[str, Any]:
    assert answer.status == 201, answer.body
    incident: dict[str, Any] = answer.json
    return incident


def test_required_members_are_enough(api: Api) -> None:
    sent = an_incident()

    answer = api.post(INCIDENTS, sent)

    incident = created(answer)
    assert answer.headers["Location"] == f"{INCIDENTS}/{incident['id']}"
    assert answer.headers["Content-Type"] == "application/json"
    assert api.get(answer.headers["Location"]).json == incident
    assert incident["action_id"] == sent["action_id"]
    assert incident["execution_status"] == "pending"
    assert incident["target_resource"] == "deployment/web"
    assert (incident["ai_selected_workflow"], incident["alert_name"]) == (False, "HighMemoryUsage")


EVERYTHING: dict[str, Any] = {
    "signal_name": "HighMemoryUsage", "alert_name": "PodMemoryHigh", "execution_status": "completed",
    "cluster_name": "eu-1", "environment": "prod", "correlation_id": "rr-2026-118",
    "signal_fingerprint": "fp-1", "signal_labels": {"app": "web"}, "signal_annotations": {"run": "book"},
    "signal_firing_time": "2026-11-20T10:14:00Z", "incident_type": "pod-oom-killer",
    "incident_severity": "critical", "workflow_id": "pod-oom-recovery", "workflow_version": "v1.2",
    "workflow_execution_id": "we-77", "workflow_step_number": 1, "ai_selected_workflow": True,
    "ai_chained_workflows": True, "ai_manual_escalation": True, "ai_workflow_customization": {"a": 1},
    "action_parameters": {"memory": "2Gi"}, "resource_state_before": {"replicas": 1},
    "resource_state_after": {"replicas": 2}, "alternative_actions": [{"name": "none"}],
    "kubernetes_operations": ["patch"], "follow_up_actions": [1, 2], "routing_tier": "route1",
    "model_reasoning": "because", "effectiveness_score": 0.125, "effectiveness_criteria": {"p99": 1},
    "effectiveness_notes": "fine",
}  # fmt: skip


def test_every_member_is_stored_as_sent(api: Api) -> None:
    outcome = {
        "execution_start_time": "2026-11-20T10:15:01Z",
        "execution_end_time": "2026-11-20T10:15:21.5Z",
        "execution_error": "none",
    }

    incident = created(api.post(INCIDENTS, an_incident(**EVERYTHING, **outcome)))

    assert {name: incident[name] for name in EVERYTHING} == EVERYTHING
    assert incident["remediation_request_id"] == "rr-2026-118"
    assert incident["alert_fingerprint"] == "fp-1"
    assert (incident["start_time"], incident["end_time"]) == (
        "2026-11-20T10:15:01Z",
        "2026-11-20T10:15:21.500000Z",
    )
    assert (incident["duration"], incident["error_message"]) == (20_500, "none")


def test_older_names_are_understood(api: Api) -> None:
    sent = an_incident(severity=ABSENT, resource_kind=ABSENT, namespace=ABSENT) | {
        "alert_severity": "low", "status": "failed", "resource_type": "Pod", "resource_namespace": "n",
        "cluster": "c", "remediation_request_id": "rr", "alert_fingerprint": "fp", "error_message": "e",
        "start_time": "2026-11-20T10:00:00Z", "end_time": "2026-11-20T10:00:01Z", "duration": 7,
    }  # fmt: skip

    incident = created(api.post(INCIDENTS, sent))

    assert (incident["severity"], incident["execution_status"]) == ("low", "failed")
    assert (incident["resource_kind"], incident["namespace"], incident["cluster_name"]) == ("Pod", "n", "c")
    assert (incident["correlation_id"], incident["signal_fingerprint"]) == ("rr", "fp")
    assert (incident["duration"], incident["error_message"]) == (7, "e")


def test_older_name_beside_the_current_one_has_to_agree(api: Api) -> None:
    agreeing = api.post(INCIDENTS, an_incident(severity="low", signal_severity="low", alert_severity="low"))
    contradicting = api.post(INCIDENTS, an_incident(severity="low", alert_severity="high"))

    assert agreeing.status == 201
    problem = assert_problem(contradicting, 400, "validation-error")
    assert list(problem["field_errors"]) == ["alert_severity"]


def test_alert_name_supplies_the_signal_name(api: Api) -> None:
    incident = created(api.post(INCIDENTS, an_incident(signal_name=ABSENT, alert_name="OnlyAlert")))

    assert (incident["signal_name"], incident["alert_name"]) == ("OnlyAlert", "OnlyAlert")


def test_namespace_of_any_script_is_found_again(api: Api) -> None:
    incident = created(api.post(INCIDENTS, an_incident(namespace=CHINESE)))

    assert incident["id"] in ids(api.get(INCIDENTS, {"namespace": CHINESE}))


@pytest.mark.parametrize(
    "text", ["  padded  ", "<b>&amp;</b>", "'; DROP TABLE x; --", "e\u0301", "\U0001f525"]
)
def test_text_is_stored_as_sent(api: Api, text: str) -> None:
    incident = created(api.post(INCIDENTS, an_incident(model_used=text, execution_error=text)))

    stored = api.get(f"{INCIDENTS}/{incident['id']}").json
    assert (stored["model_used"], stored["error_message"]) == (text, text)


def test_free_text_and_documents_may_have_every_character(api: Api) -> None:
    names = ("model_reasoning", "error_message", "effectiveness_notes")
    labels = {"signal_labels": {"note": FREE_TEXT}}

    incident = created(api.post(INCIDENTS, an_incident(**dict.fromkeys(names, FREE_TEXT), **labels)))

    stored = api.get(f"{INCIDENTS}/{incident['id']}").json
    assert [stored[name] for name in names] == [FREE_TEXT] * 3
    assert stored["signal_labels"] == labels["signal_labels"]


WIDEST = {
    "resource_kind": 100, "resource_name": 253, "namespace": 63, "cluster_name": 255, "alert_name": 255,
    "signal_name": 200, "incident_type": 100, "workflow_id": 64, "workflow_version": 20, "action_type": 50,
    "workflow_execution_id": 64, "correlation_id": 64, "action_id": 64,
}  # fmt: skip


def test_names_as_long_as_documented_are_stored_once(api: Api) -> None:
    names = {name: widest(characters) for name, characters in WIDEST.items()}

    first = created(api.post(INCIDENTS, an_incident(**names)))
    second = created(api.post(INCIDENTS, an_incident(**names | {"action_id": widest(64)})))

    assert {name: first[name] for name in names} == names
    assert api.get(f"{INCIDENTS}/{first['id']}").json == first
    assert second["action_history_id"] == first["action_history_id"]
    assert second["cluster_name"] == first["cluster_name"]


def test_confidence_keeps_three_decimals(api: Api) -> None:
    assert created(api.post(INCIDENTS, an_incident(model_confidence=0.12345)))["model_confidence"] == 0.123
    assert created(api.post(INCIDENTS, an_incident(model_confidence=1)))["model_confidence"] == 1


def test_action_of_2019_is_stored_and_found(api: Api) -> None:
    at = "2019-05-01T00:00:00.000001Z"

    incident = created(api.post(INCIDENTS, an_incident(action_timestamp=at)))

    assert incident["action_timestamp"] == at
    assert api.get(f"{INCIDENTS}/{incident['id']}").json == incident
    found = api.get(INCIDENTS, {"action_id": incident["action_id"], "until": "2019-06-01"})
    assert ids(found) == [incident["id"]]


def test_same_action_again_is_a_conflict_that_names_the_stored_one(api: Api) -> None:
    sent = an_incident()
    first = created(api.post(INCIDENTS, sent))

    problem = assert_problem(api.post(INCIDENTS, sent | {"severity": "low"}), 409, "conflict")

    assert (problem["resource"], problem["field"]) == ("incident", "action_id")
    assert (problem["value"], problem["existing_id"]) == (sent["action_id"], first["id"])
    assert api.get(INCIDENTS, {"action_id": sent["action_id"]}).json["total"] == 1


def test_same_action_at_once_is_stored_once(api: Api) -> None:
    sent = an_incident()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.post(INCIDENTS, sent), range(16)))

    assert sorted(answer.status for answer in answers) == [201] + [409] * 15
    assert {answer.json["existing_id"] for answer in answers if answer.status == 409} == {
        next(answer.json["id"] for answer in answers if answer.status == 201)
    }


def test_new_resource_is_created_once_by_many(api: Api, owner: Connection) -> None:
    name = unique("web")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.post(INCIDENTS, an_incident(resource_name=name)), range(32)))

    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["action_history_id"] for answer in answers}) == 1
    of_name = resource_references.c.name == name
    assert len(owner.execute(select(resource_references).where(of_name)).all()) == 1


def test_history_counts_actions_and_keeps_the_latest_time(api: Api, owner: Connection) -> None:
    name, latest = unique("web"), now(hours=-1)
    for hours in (-2, -1, -3):
        at = latest if hours == -1 else now(hours=hours)
        incident = created(api.post(INCIDENTS, an_incident(resource_name=name, action_timestamp=rfc3339(at))))

    of_history = action_histories.c.id == incident["action_history_id"]
    history = owner.execute(select(action_histories).where(of_history)).one()
    assert (history.total_actions, history.last_action_at) == (3, latest)


def test_unknown_uid_is_derived_from_the_resource(api: Api, owner: Connection) -> None:
    name = unique("web")
    api.post(INCIDENTS, an_incident(resource_name=name, namespace="n", cluster_name="c"))

    of_name = resource_references.c.name == name
    resource = owner.execute(select(resource_references).where(of_name)).one()

    assert resource.resource_uid == str(uuid.uuid5(uuid.NAMESPACE_URL, f"c/n/Deployment/{name}"))
    assert resource.api_version == "v1"


def test_known_resource_takes_over_what_the_producer_sent(api: Api, owner: Connection) -> None:
    name, uid = unique("web"), str(uuid.uuid4())
    of_name = resource_references.c.name == name
    api.post(INCIDENTS, an_incident(resource_name=name))
    before = owner.execute(select(resource_references).where(of_name)).one()

    api.post(INCIDENTS, an_incident(resource_name=name, resource_uid=uid, resource_api_version="apps/v1"))
    api.post(INCIDENTS, an_incident(resource_name=name, resource_api_version="apps/v1"))

    after = owner.execute(select(resource_references).where(of_name)).one()
    assert (after.id, after.resource_uid, after.api_version) == (before.id, uid, "apps/v1")
    assert after.last_seen > before.last_seen


def test_uid_of_another_resource_is_a_conflict(api: Api) -> None:
    uid = str(uuid.uuid4())
    created(api.post(INCIDENTS, an_incident(resource_name=unique("web"), resource_uid=uid)))

    answer = api.post(INCIDENTS, an_incident(resource_name=unique("web"), resource_uid=uid))

    problem = assert_problem(answer, 409, "conflict")
    assert (problem["resource"], problem["field"], problem["value"]) == ("incident", "resource_uid", uid)


def test_cluster_scoped_resource_has_no_namespace(api: Api) -> None:
    name = unique("node")
    sent = {"resource_kind": "Node", "resource_name": name, "namespace": ABSENT}

    first, second = (created(api.post(INCIDENTS, an_incident(**sent))) for _ in range(2))

    assert first["namespace"] is None
    assert first["action_history_id"] == second["action_history_id"]


def test_named_history_is_used_and_counted(api: Api, owner: Connection) -> None:
    history_id = insert_history(owner, namespace="old", cluster_name="c", kind="Pod", name=unique("pod"))
    sent = an_incident(
        action_history_id=history_id, namespace="sent", resource_kind=ABSENT, resource_name=ABSENT
    )

    incident = created(api.post(INCIDENTS, sent))

    assert incident["action_history_id"] == history_id
    assert (incident["namespace"], incident["resource_kind"], incident["cluster_name"]) == (
        "sent",
        "Pod",
        "c",
    )
    of_history = action_histories.c.id == history_id
    assert owner.execute(select(action_histories.c.total_actions).where(of_history)).scalar_one() == 1


def test_row_of_an_older_producer_is_found_by_its_parents_place(api: Api, owner: Connection) -> None:
    namespace = unique("x-ns")
    history_id = insert_history(owner, namespace=namespace)
    row = {
        "action_history_id": history_id, "action_id": unique("act"), "action_timestamp": datetime.now(UTC),
        "signal_name": "s", "signal_severity": "low", "model_used": "m", "model_confidence": 0.5,
        "action_type": "x",
    }  # fmt: skip

    owner.execute(resource_action_traces.insert(), row)

    found = api.get(INCIDENTS, {"namespace": namespace}).json["data"]
    assert [incident["action_id"] for incident in found] == [row["action_id"]]
