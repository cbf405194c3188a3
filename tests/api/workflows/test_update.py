"""``PATCH /api/v1/workflows/{workflow_id}``: status and counters change, nothing else does."""

from typing import Any
from uuid import uuid4

import pytest

from tests.support.http import Api, assert_problem
from tests.support.workflow_builders import SEARCH, WORKFLOWS, a_search, patch, path_of, register

IMMUTABLE = (
    "workflow_id", "workflow_name", "version", "name", "description", "owner", "maintainer", "content",
    "content_hash", "parameters", "execution_engine", "container_image", "container_digest", "labels",
    "custom_labels", "detected_labels", "previous_version", "version_notes", "change_summary", "approved_by",
    "approved_at", "expected_success_rate", "expected_duration_seconds", "created_at", "created_by",
)  # fmt: skip
DISABLED_MEMBERS = {"disabled_at", "disabled_by", "disabled_reason"}


def changed(api: Api, workflow: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the workflow after a successful update, having made sure that it was stored like that."""
    answer = patch(api, path_of(workflow), fields)
    assert answer.status == 200, answer.body
    after: dict[str, Any] = answer.json
    assert api.get(path_of(workflow)).json == after
    return after


def is_found(api: Api, workflow: dict[str, Any]) -> bool:
    found = api.post(SEARCH, a_search("/".join(workflow["labels"][name] for name in (
        "signal_type", "severity", "component", "environment", "priority"))))  # fmt: skip
    return workflow["workflow_id"] in [each["workflow_id"] for each in found.json["workflows"]]


def test_disabling_says_when_by_whom_and_why(api: Api) -> None:
    created = register(api)

    after = changed(api, created, status="disabled", disabled_by="ops", disabled_reason="flaky")

    assert after["status"] == "disabled"
    assert after["disabled_at"] > created["created_at"]
    assert (after["disabled_by"], after["updated_by"]) == ("ops", "ops")
    assert (after["disabled_reason"], after["status_reason"]) == ("flaky", "flaky")
    assert after["updated_at"] > created["updated_at"]
    assert not is_found(api, created)


def test_enabling_again_forgets_why_it_was_disabled(api: Api) -> None:
    created = register(api)
    changed(api, created, status="disabled", disabled_by="ops", disabled_reason="flaky")

    after = changed(api, created, status="active")

    assert not DISABLED_MEMBERS & after.keys()
    assert "status_reason" not in after
    assert after["updated_by"] == "ops"
    assert is_found(api, created)


def test_general_names_stand_in_for_those_of_disabling(api: Api) -> None:
    after = changed(api, register(api), status="disabled", updated_by="ops", reason="flaky")

    assert (after["disabled_by"], after["disabled_reason"]) == ("ops", "flaky")


def test_own_names_of_disabling_win_in_its_columns(api: Api) -> None:
    after = changed(
        api,
        register(api),
        status="disabled",
        updated_by="a",
        disabled_by="b",
        reason="c",
        disabled_reason="d",
    )

    assert (after["disabled_by"], after["updated_by"]) == ("b", "a")
    assert (after["disabled_reason"], after["status_reason"]) == ("d", "c")


@pytest.mark.parametrize(
    "path",
    [
        ("disabled", "active"),
        ("deprecated", "archived"),
        ("disabled", "deprecated"),
        ("disabled", "archived"),
        ("archived",),
    ],
)
def test_status_may_take_a_path(api: Api, path: tuple[str, ...]) -> None:
    workflow = register(api)

    for status in path:
        assert changed(api, workflow, status=status, reason="because")["status"] == status

    assert api.get(path_of(workflow)).json["status_reason"] == "because"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("deprecated", "active"),
        ("deprecated", "disabled"),
        ("archived", "active"),
        ("archived", "disabled"),
        ("archived", "deprecated"),
    ],
)
def test_status_may_not_go_back(api: Api, old: str, new: str) -> None:
    workflow = register(api, status=old)

    answer = patch(api, path_of(workflow), {"status": new, "updated_by": "ops", "total_executions": 5})

    problem = assert_problem(answer, 409, "workflow-status-conflict")
    assert problem["title"] == "Conflict"
    assert problem["detail"] == f"invalid workflow status transition from {old} to {new}"
    assert api.get(path_of(workflow)).json == workflow


@pytest.mark.parametrize("status", ["active", "deprecated", "archived"])
def test_same_status_changes_nothing(api: Api, status: str) -> None:
    workflow = register(api, status=status)

    assert changed(api, workflow, status=status, reason="again") == workflow


def test_older_version_changes_like_the_latest(api: Api) -> None:
    older = register(api)
    register(api, workflow_name=older["workflow_name"], version="v2")

    assert changed(api, older, status="archived")["is_latest_version"] is False


@pytest.mark.parametrize("field", IMMUTABLE)
def test_immutable_field_is_refused(api: Api, field: str) -> None:
    workflow = register(api)

    answer = patch(
        api, path_of(workflow), {field: {} if field.endswith("labels") else "x", "status": "archived"}
    )

    problem = assert_problem(answer, 400, "immutable-field-violation")
    assert problem["title"] == "Bad Request"
    assert problem["field_errors"].keys() == {field}
    assert "new version" in problem["detail"]
    assert api.get(path_of(workflow)).json == workflow


def test_every_immutable_field_is_named_before_anything_else_is_judged(api: Api) -> None:
    answer = patch(api, f"{WORKFLOWS}/{uuid4()}", {"owner": "x", "content": "y", "status": "off"})

    problem = assert_problem(answer, 400, "immutable-field-violation")
    assert problem["field_errors"].keys() == {"owner", "content"}


def test_immutable_field_that_is_null_is_absent(api: Api) -> None:
    workflow = register(api)

    assert changed(api, workflow, **dict.fromkeys(IMMUTABLE)) == workflow


def test_what_the_server_manages_is_ignored(api: Api) -> None:
    workflow = register(api)

    after = changed(
        api,
        workflow,
        is_latest_version=False,
        disabled_at="x",
        status_reason="x",
        updated_at="x",
        color="red",
    )

    assert after == workflow


def test_empty_object_changes_nothing(api: Api) -> None:
    workflow = register(api)

    assert changed(api, workflow) == workflow


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "retired"),
        ("status", 5),
        ("disabled_by", "x" * 256),
        ("updated_by", "x" * 256),
        ("reason", 5),
        ("deprecation_notice", "a\x00"),
        ("total_executions", -1),
        ("total_executions", 1.5),
        ("total_executions", True),
        ("total_executions", 2**31),
        ("successful_executions", "5"),
        ("actual_success_rate", 1.1),
        ("actual_success_rate", "high"),
    ],
)
def test_value_is_outside_its_range(api: Api, field: str, value: Any) -> None:
    workflow = register(api)

    problem = assert_problem(patch(api, path_of(workflow), {field: value}), 400, "validation-error")

    assert problem["field_errors"].keys() == {field}
    assert api.get(path_of(workflow)).json == workflow


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"5"])
def test_body_is_no_json_object(api: Api, body: bytes) -> None:
    answer = patch(api, path_of(register(api)), body=body)

    assert assert_problem(answer, 400, "validation-error")["field_errors"].keys() == {"body"}


def test_unknown_workflow_is_not_found(api: Api) -> None:
    unknown = f"{WORKFLOWS}/{uuid4()}"

    assert_problem(patch(api, unknown, {"status": "active"}), 404, "not-found")
    assert_problem(patch(api, unknown, {}), 404, "not-found")


def test_path_is_judged_before_the_body(api: Api) -> None:
    problem = assert_problem(patch(api, f"{WORKFLOWS}/x", body=b"{"), 400, "validation-error")

    assert problem["field_errors"].keys() == {"workflow_id"}


def test_rate_follows_the_counters(api: Api) -> None:
    workflow = register(api)

    after = changed(api, workflow, total_executions=8, successful_executions=6)

    assert (after["total_executions"], after["successful_executions"]) == (8, 6)
    assert after["actual_success_rate"] == 0.75


@pytest.mark.parametrize("rate", [0, 1])
def test_rate_may_be_a_whole_number(api: Api, rate: int) -> None:
    assert changed(api, register(api), actual_success_rate=rate)["actual_success_rate"] == rate


def test_rate_of_the_client_wins(api: Api) -> None:
    after = changed(
        api, register(api), total_executions=8, successful_executions=6, actual_success_rate=0.7005
    )

    assert after["actual_success_rate"] == 0.701


def test_rate_follows_one_counter_too(api: Api) -> None:
    workflow = register(api)
    changed(api, workflow, total_executions=3, successful_executions=1)

    assert changed(api, workflow, successful_executions=2)["actual_success_rate"] == 0.667


def test_rate_without_executions_is_none(api: Api) -> None:
    workflow = register(api)
    changed(api, workflow, total_executions=3, successful_executions=1)

    after = changed(api, workflow, total_executions=0, successful_executions=0)

    assert "actual_success_rate" not in after


@pytest.mark.parametrize("counters", [{"successful_executions": 9}, {"total_executions": 5}])
def test_there_are_no_more_successes_than_executions(api: Api, counters: dict[str, int]) -> None:
    workflow = register(api)
    before = changed(api, workflow, total_executions=8, successful_executions=6)

    problem = assert_problem(patch(api, path_of(workflow), counters), 400, "validation-error")

    assert problem["field_errors"].keys() == counters.keys()
    assert api.get(path_of(workflow)).json == before


def test_deprecation_notice_may_come_with_any_status(api: Api) -> None:
    workflow = register(api)

    after = changed(api, workflow, deprecation_notice="Use grow-disk", updated_by="ops")

    assert (after["deprecation_notice"], after["updated_by"]) == ("Use grow-disk", "ops")
    assert after["status"] == "active"


def test_reason_of_a_disabled_workflow_may_be_told_later(api: Api) -> None:
    workflow = register(api)
    before = changed(api, workflow, status="disabled", disabled_by="ops", disabled_reason="?")

    after = changed(api, workflow, disabled_reason="regression", disabled_by="qa")

    assert after["disabled_at"] == before["disabled_at"]
    assert (after["disabled_reason"], after["status_reason"]) == ("regression", "regression")
    assert (after["disabled_by"], after["updated_by"]) == ("qa", "qa")
