"""``PATCH /api/v1/incidents/{id}``."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.builders import now, rfc3339, unique
from tests.support.http import JSON, Answer, Api, assert_problem
from tests.support.incident_builders import INCIDENTS, SUCCESS_RATE, an_incident

STATUSES = ["pending", "executing", "in_progress", "completed", "failed", "rolled-back", "cancelled"]
ENDS = {"completed", "failed", "cancelled", "rolled-back"}
ALLOWED = {
    "pending": set(STATUSES),
    "executing": {"executing", "in_progress"} | ENDS,
    "in_progress": {"executing", "in_progress"} | ENDS,
    "completed": {"completed", "rolled-back"},
    "failed": {"failed", "rolled-back"},
    "rolled-back": {"rolled-back"},
    "cancelled": {"cancelled"},
}


def stored(api: Api, **fields: Any) -> int:
    """Store an incident and return its id."""
    answer = api.post(INCIDENTS, an_incident(**fields))
    assert answer.status == 201, answer.body
    return int(answer.json["id"])


def patch(api: Api, incident_id: object, change: Any) -> Answer:
    body = json.dumps(change).encode()
    return api.request("PATCH", f"{INCIDENTS}/{incident_id}", body=body, headers=JSON)


def changed(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    incident: dict[str, Any] = answer.json
    return incident


def test_outcome_is_recorded_and_the_rate_follows(api: Api) -> None:
    incident_type = unique("type")
    incident_id = stored(api, incident_type=incident_type)

    incident = changed(patch(api, incident_id, {"execution_status": "completed"}))

    assert incident["execution_status"] == "completed"
    assert incident == api.get(f"{INCIDENTS}/{incident_id}").json
    assert incident["updated_at"] > incident["created_at"]
    rate = api.get(f"{SUCCESS_RATE}/incident-type", {"incident_type": incident_type}).json
    assert (rate["total_executions"], rate["successful_executions"]) == (1, 1)


def test_every_mutable_member_changes(api: Api) -> None:
    change = {
        "execution_error": "out of memory", "kubernetes_operations": [{"verb": "patch"}],
        "resource_state_after": {"replicas": 3}, "effectiveness_score": 0.5,
        "effectiveness_criteria": {"p99": 2}, "effectiveness_assessed_at": "2026-11-20T11:00:00Z",
        "effectiveness_assessment_method": "automated", "effectiveness_notes": "good",
        "effectiveness_assessment_due": "2026-11-21T11:00:00Z", "follow_up_actions": ["watch"],
    }  # fmt: skip

    incident = changed(patch(api, stored(api), change))

    assert incident.pop("error_message") == change.pop("execution_error")
    assert {name: incident[name] for name in change} == change


def test_older_names_are_understood(api: Api) -> None:
    change = {"status": "failed", "error_message": "e", "duration": 5}

    incident = changed(patch(api, stored(api), change))

    assert (incident["execution_status"], incident["error_message"], incident["duration"]) == (
        "failed",
        "e",
        5,
    )


def test_null_clears_a_member(api: Api) -> None:
    incident_id = stored(api, execution_error="e", effectiveness_score=0.5)

    incident = changed(patch(api, incident_id, {"execution_error": None, "effectiveness_score": None}))

    assert (incident["error_message"], incident["effectiveness_score"]) == (None, None)


def test_members_that_are_not_sent_stay(api: Api) -> None:
    incident_id = stored(api, action_parameters={"a": 1}, execution_error="e")

    incident = changed(patch(api, incident_id, {"effectiveness_score": 1}))

    assert (incident["action_parameters"], incident["error_message"]) == ({"a": 1}, "e")


def test_duration_follows_from_the_times(api: Api) -> None:
    incident_id = stored(api, start_time="2026-11-20T10:00:00Z")

    incident = changed(patch(api, incident_id, {"end_time": "2026-11-20T10:00:01.250Z"}))
    again = changed(patch(api, incident_id, {"end_time": "2026-11-20T10:00:02Z"}))
    given = changed(patch(api, incident_id, {"end_time": "2026-11-20T10:00:03Z", "duration": 1}))

    assert [each["duration"] for each in (incident, again, given)] == [1250, 2000, 1]


def test_end_is_not_before_the_stored_start(api: Api) -> None:
    incident_id = stored(api, start_time="2026-11-20T10:00:00Z")

    answer = patch(api, incident_id, {"end_time": "2026-11-20T09:00:00Z"})

    problem = assert_problem(answer, 400, "validation-error")
    assert list(problem["field_errors"]) == ["execution_end_time"]


@pytest.mark.parametrize("before", STATUSES)
def test_status_follows_the_lifecycle(api: Api, before: str) -> None:
    for after in STATUSES:
        answer = patch(api, stored(api, execution_status=before), {"execution_status": after})

        if after in ALLOWED[before]:
            assert changed(answer)["execution_status"] == after
        else:
            problem = assert_problem(answer, 409, "conflict")
            assert (problem["resource"], problem["field"]) == ("incident", "execution_status")


@pytest.mark.parametrize(
    "name",
    [
        "signal_name",
        "severity",
        "id",
        "namespace",
        "alert_name",
        "target_resource",
        "created_at",
        "metadata",
    ],
)
def test_other_member_cannot_change(api: Api, name: str) -> None:
    answer = patch(api, stored(api), {name: "x", "execution_status": "completed"})

    problem = assert_problem(answer, 400, "immutable-field-violation")
    assert problem["title"] == "Bad Request"
    assert list(problem["field_errors"]) == [name]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({}, ["body"]),
        ([], ["body"]),
        ({"unknown": 1}, ["unknown"]),
        ({"execution_status": "done"}, ["execution_status"]),
        ({"execution_status": None}, ["execution_status"]),
        ({"effectiveness_score": 2}, ["effectiveness_score"]),
        ({"effectiveness_assessment_method": "x" * 21}, ["effectiveness_assessment_method"]),
        ({"status": "failed", "execution_status": "completed"}, ["status"]),
        ({"kubernetes_operations": {}}, ["kubernetes_operations"]),
        ({"execution_duration_ms": -1}, ["execution_duration_ms"]),
    ],
)
def test_wrong_change_is_refused(api: Api, change: Any, fields: list[str]) -> None:
    problem = assert_problem(patch(api, stored(api), change), 400, "validation-error")

    assert list(problem["field_errors"]) == fields


def test_unknown_incident_is_not_found(api: Api) -> None:
    problem = assert_problem(patch(api, 2**62, {"status": "failed"}), 404, "not-found")

    assert problem["title"] == "Incident Not Found"


@pytest.mark.parametrize("incident_id", ["0", "x", "1.5", "9223372036854775808"])
def test_id_is_judged_before_the_body(api: Api, incident_id: str) -> None:
    assert_problem(patch(api, incident_id, {}), 400, "invalid-id")


def test_only_one_of_two_ends_at_once_wins(api: Api) -> None:
    incident_id = stored(api, execution_status="executing", action_timestamp=rfc3339(now(hours=-1)))

    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda i: patch(api, incident_id, {"status": ["completed", "failed"][i % 2]}), range(8))
        )

    final = api.get(f"{INCIDENTS}/{incident_id}").json["execution_status"]
    winners = {answer.json["execution_status"] for answer in answers if answer.status == 200}
    assert winners == {final}
    assert {answer.status for answer in answers} == {200, 409}
