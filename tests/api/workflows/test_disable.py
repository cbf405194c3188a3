"""``PATCH /api/v1/workflows/{workflow_id}/disable``."""

from typing import Any
from uuid import uuid4

import pytest

from tests.support.http import Api, assert_problem
from tests.support.workflow_builders import WORKFLOWS, patch, path_of, register


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}])
def test_body_may_be_missing(api: Api, headers: dict[str, str]) -> None:
    workflow = register(api)

    answer = api.request("PATCH", path_of(workflow, "/disable"), headers=headers)

    assert answer.status == 200
    assert answer.json["status"] == "disabled"
    assert "disabled_at" in answer.json
    assert not {"disabled_by", "disabled_reason", "status_reason", "updated_by"} & answer.json.keys()
    assert api.get(path_of(workflow)).json == answer.json


def test_reason_and_actor_are_stored(api: Api) -> None:
    workflow = register(api)

    after = patch(api, path_of(workflow, "/disable"), {"reason": "flaky", "updated_by": "ops", "x": 1}).json

    assert (after["disabled_reason"], after["status_reason"]) == ("flaky", "flaky")
    assert (after["disabled_by"], after["updated_by"]) == ("ops", "ops")


@pytest.mark.parametrize("empty", [None, ""])
def test_empty_reason_is_no_reason(api: Api, empty: str | None) -> None:
    workflow = register(api)

    after = patch(api, path_of(workflow, "/disable"), {"reason": empty, "updated_by": empty}).json

    assert not {"disabled_by", "disabled_reason", "status_reason", "updated_by"} & after.keys()


def test_disabling_again_keeps_the_moment_and_takes_the_new_reason(api: Api) -> None:
    workflow = register(api)
    first = patch(api, path_of(workflow, "/disable"), {"reason": "flaky"})

    second = patch(api, path_of(workflow, "/disable"), {"reason": "broken"})

    assert (first.status, second.status) == (200, 200)
    assert second.json["disabled_at"] == first.json["disabled_at"]
    assert second.json["disabled_reason"] == "broken"


@pytest.mark.parametrize("status", ["deprecated", "archived"])
def test_retired_workflow_cannot_be_disabled(api: Api, status: str) -> None:
    workflow = register(api, status=status)

    problem = assert_problem(patch(api, path_of(workflow, "/disable"), {}), 409, "workflow-status-conflict")

    assert problem["detail"] == f"invalid workflow status transition from {status} to disabled"
    assert api.get(path_of(workflow)).json == workflow


def test_unknown_workflow_is_not_found(api: Api) -> None:
    assert_problem(patch(api, f"{WORKFLOWS}/{uuid4()}/disable", {}), 404, "not-found")


@pytest.mark.parametrize(
    ("body", "field"),
    [({"reason": 5}, "reason"), ({"updated_by": "x" * 256}, "updated_by"), ([], "body"), ("text", "body")],
)
def test_body_is_at_fault(api: Api, body: Any, field: str) -> None:
    answer = patch(api, path_of(register(api), "/disable"), body)

    assert assert_problem(answer, 400, "validation-error")["field_errors"].keys() == {field}


def test_id_is_no_uuid(api: Api) -> None:
    problem = assert_problem(patch(api, f"{WORKFLOWS}/x/disable", {}), 400, "validation-error")

    assert problem["field_errors"].keys() == {"workflow_id"}
