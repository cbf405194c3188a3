"""``POST /api/v1/incidents`` with what is refused; nothing of it is stored."""

import json
from typing import Any

import pytest

from tests.support.builders import ABSENT, now, rfc3339, unique
from tests.support.http import JSON, Answer, Api, assert_problem
from tests.support.incident_builders import INCIDENTS, an_incident


def refused_fields(answer: Answer) -> dict[str, str]:
    errors: dict[str, str] = assert_problem(answer, 400, "validation-error")["field_errors"]
    return errors


def test_unknown_history_is_refused(api: Api) -> None:
    answer = api.post(INCIDENTS, an_incident(action_history_id=2**62))

    assert list(refused_fields(answer)) == ["action_history_id"]


def test_all_faults_are_named(api: Api) -> None:
    answer = api.post(INCIDENTS, an_incident(severity=ABSENT, model_confidence=1.2))

    assert refused_fields(answer) == {"severity": "is required", "model_confidence": "must be from 0 to 1"}


REQUIRED = ["action_id", "action_type", "action_timestamp", "severity", "model_used", "model_confidence",
            "resource_kind", "resource_name", "signal_name"]  # fmt: skip


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [ABSENT, None])
def test_required_member_is_missed(api: Api, name: str, value: object) -> None:
    assert refused_fields(api.post(INCIDENTS, an_incident(**{name: value}))) == {name: "is required"}


LENGTHS = {
    "action_id": 64, "action_type": 50, "signal_name": 200, "alert_name": 255, "model_used": 100,
    "resource_kind": 100, "resource_name": 253, "resource_uid": 36, "resource_api_version": 100,
    "namespace": 63, "cluster_name": 255, "environment": 100, "correlation_id": 64,
    "signal_fingerprint": 64, "incident_type": 100, "workflow_id": 64, "workflow_execution_id": 64,
    "routing_tier": 20, "model_reasoning": 65_536, "execution_error": 65_536, "effectiveness_notes": 65_536,
}  # fmt: skip


@pytest.mark.parametrize(("name", "maximum"), LENGTHS.items())
def test_lengths_count_code_points(api: Api, name: str, maximum: int) -> None:
    fits = unique("").removeprefix("-")[: min(maximum, 16)].ljust(maximum, "\U0001f525")

    assert api.post(INCIDENTS, an_incident(**{name: fits})).status == 201
    assert list(refused_fields(api.post(INCIDENTS, an_incident(**{name: fits + "x"})))) == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("severity", "Critical"), ("severity", "urgent"), ("severity", 1), ("execution_status", "done"),
        ("incident_severity", "low"), ("model_confidence", "0.5"), ("model_confidence", True),
        ("model_confidence", -0.1), ("effectiveness_score", 1.01), ("action_timestamp", "2026-11-20"),
        ("action_timestamp", "2026-11-20T10:00:00"), ("action_timestamp", "1999-12-31T23:59:59Z"),
        ("action_timestamp", 1), ("workflow_step_number", 0), ("workflow_step_number", 2**31),
        ("workflow_step_number", True), ("workflow_step_number", "1"),
        ("execution_duration_ms", -1), ("execution_duration_ms", 2**31), ("ai_selected_workflow", "true"),
        ("ai_selected_workflow", 1), ("signal_labels", []), ("signal_labels", "{}"), ("action_parameters", 1),
        ("alternative_actions", {}), ("kubernetes_operations", "x"), ("namespace", ""), ("namespace", 5),
        ("action_id", ""), ("action_id", "a\u0000b"), ("action_parameters", {"a": ["x\u0000"]}),
        ("action_parameters", {"\u0000": 1}), ("follow_up_actions", [{"k": "\u0000"}]),
        ("action_history_id", 0), ("action_history_id", "1"), ("action_history_id", 2**63),
        ("workflow_version", "v1"), ("signal_firing_time", "yesterday"), ("unknown", 1), ("Severity", "low"),
        ("id", 1), ("created_at", "2026-11-20T10:00:00Z"), ("execution_start_time", "2026-11-20 10:00:00Z"),
    ],
)  # fmt: skip
def test_wrong_value_is_refused(api: Api, name: str, value: Any) -> None:
    assert list(refused_fields(api.post(INCIDENTS, an_incident(**{name: value})))) == [name]


def test_action_may_be_a_little_ahead(api: Api) -> None:
    assert api.post(INCIDENTS, an_incident(action_timestamp=rfc3339(now(minutes=4)))).status == 201

    answer = api.post(INCIDENTS, an_incident(action_timestamp=rfc3339(now(minutes=10))))
    assert list(refused_fields(answer)) == ["action_timestamp"]


def test_end_is_not_before_the_start(api: Api) -> None:
    answer = api.post(
        INCIDENTS, an_incident(start_time="2026-11-20T10:00:01Z", end_time="2026-11-20T10:00:00Z")
    )

    assert list(refused_fields(answer)) == ["end_time"]


def test_alert_name_that_supplies_the_signal_name_is_shorter(api: Api) -> None:
    answer = api.post(INCIDENTS, an_incident(signal_name=ABSENT, alert_name="a" * 201))

    assert list(refused_fields(answer)) == ["alert_name"]


def test_numbers_of_all_documents_count_by_their_plain_form(api: Api) -> None:
    incident = an_incident(action_parameters={"x": [1e308] * 20_000}, alternative_actions=[1e308] * 20_000)

    assert list(refused_fields(api.post(INCIDENTS, incident))) == ["action_parameters"]


def test_numbers_of_one_document_count_by_their_plain_form(api: Api) -> None:
    incident = an_incident(action_parameters={"x": [1e308] * 40_000})

    errors = refused_fields(api.post(INCIDENTS, incident))
    in_batch = refused_fields(api.post(f"{INCIDENTS}/batch", [an_incident(), incident]))

    assert "exceeds the maximum size of 10485760 bytes" in errors["action_parameters"]
    assert list(in_batch) == ["[1].action_parameters"]


def test_change_counts_its_numbers_too(api: Api) -> None:
    incident_id = api.post(INCIDENTS, an_incident()).json["id"]
    change = json.dumps({"resource_state_after": {"x": [1e308] * 40_000}}).encode()

    answer = api.request("PATCH", f"{INCIDENTS}/{incident_id}", body=change, headers=JSON)

    assert list(refused_fields(answer)) == ["resource_state_after"]


def test_large_body_is_refused_for_the_first_of_its_unknown_members(api: Api) -> None:
    unknown = {f"x{number}": number for number in range(10_000)}
    incident_id = api.post(INCIDENTS, an_incident()).json["id"]
    change = json.dumps({"execution_status": "completed", "action_type": "x"} | unknown).encode()

    alone = api.post(INCIDENTS, an_incident(severity="urgent") | unknown)
    in_batch = api.post(f"{INCIDENTS}/batch", [an_incident(), an_incident() | unknown])
    changed = api.request("PATCH", f"{INCIDENTS}/{incident_id}", body=change, headers=JSON)

    assert refused_fields(alone) == {"x0": "is not a member of this request"}
    assert refused_fields(in_batch) == {"[1].x0": "is not a member of this request"}
    problem = assert_problem(changed, 400, "immutable-field-violation")
    assert problem["field_errors"] == {"action_type": "cannot be changed"}


def test_deeply_nested_document_is_refused(api: Api) -> None:
    deep: Any = {}
    for _ in range(300):
        deep = {"d": deep}

    assert list(refused_fields(api.post(INCIDENTS, an_incident(action_parameters=deep)))) == [
        "action_parameters"
    ]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"null", b"{} {}", b"\xff", b'{"action_id": NaN}', b'{"a": "\\ud800"}']
)
def test_body_that_is_no_json_object_is_refused(api: Api, body: bytes) -> None:
    assert list(refused_fields(api.post(INCIDENTS, body=body))) == ["body"]


def test_other_media_type_is_refused(api: Api) -> None:
    answer = api.request("POST", INCIDENTS, body=b"{}", headers={"Content-Type": "text/plain"})

    assert_problem(answer, 415, "unsupported-media-type")


def test_too_large_body_is_refused(api: Api) -> None:
    body = b'{"model_reasoning": "' + b"x" * (10 * 1024 * 1024) + b'"}'

    assert_problem(api.post(INCIDENTS, body=body), 413, "request-too-large")
