"""What workflow endpoints answer when the database cannot: nothing is queued, nothing internal is told."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.support.http import Answer, Api, assert_problem
from tests.support.isolated import IsolatedService
from tests.support.workflow_builders import SEARCH, WORKFLOWS, a_search, a_workflow, patch

OPERATIONS: dict[str, Any] = {
    "Failed to create workflow": lambda api: api.post(WORKFLOWS, a_workflow()),
    "Failed to list workflows": lambda api: api.get(WORKFLOWS),
    "Failed to get workflow": lambda api: api.get(f"{WORKFLOWS}/{uuid4()}"),
    "Failed to update workflow": lambda api: patch(api, f"{WORKFLOWS}/{uuid4()}", {"status": "active"}),
    "Failed to disable workflow": lambda api: patch(api, f"{WORKFLOWS}/{uuid4()}/disable", {}),
    "Failed to list workflow versions": lambda api: api.get(f"{WORKFLOWS}/by-name/x/versions"),
    "Failed to search workflows": lambda api: api.post(SEARCH, a_search("OOM/high/pod/test/P1")),
}


def call(operation: str, api: Api) -> Answer:
    answer: Answer = OPERATIONS[operation](api)
    return answer


@pytest.mark.parametrize("operation", OPERATIONS)
def test_database_that_is_down_makes_the_operation_unavailable(
    isolated: IsolatedService, operation: str
) -> None:
    isolated.postgres.stop()

    answer = call(operation, isolated.api)

    assert_problem(answer, 503, "service-unavailable")
    assert answer.headers["Retry-After"] == "2"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_fault_nobody_planned_for_names_the_operation_and_nothing_else(
    isolated: IsolatedService, operation: str
) -> None:
    with isolated.owner() as owner:
        owner.execute(text("ALTER TABLE remediation_workflow_catalog RENAME TO elsewhere"))
        try:
            answer = call(operation, isolated.api)
        finally:
            owner.execute(text("ALTER TABLE elsewhere RENAME TO remediation_workflow_catalog"))

    problem = assert_problem(answer, 500, "internal-error")
    assert problem["detail"] == operation
