"""The workflow endpoints: unpack, call, return."""

from uuid import UUID

from flask import Blueprint
from flask.blueprints import BlueprintSetupState
from msgspec import Raw
from werkzeug.routing import BaseConverter

from datastorage.platform.access.caller import Caller
from datastorage.platform.access.permissions import Permission
from datastorage.platform.web.current import current
from datastorage.platform.web.operations import Answer, operation
from datastorage.workflows.lifecycle import Change
from datastorage.workflows.model import (
    Created,
    PageRequest,
    SearchAnswer,
    SearchRequest,
    StoredWorkflow,
    VersionList,
    WorkflowPage,
)
from datastorage.workflows.parameters import WorkflowQuery
from datastorage.workflows.schemas import (
    ChangeSchema,
    DisableSchema,
    NewWorkflowSchema,
    SearchSchema,
    WorkflowIdPath,
    WorkflowNamePath,
)
from datastorage.workflows.search import WorkflowSearch
from datastorage.workflows.service import WorkflowService
from datastorage.workflows.workflow import WORKFLOW, Workflow

PREFIX = "/api/v1/workflows"

blueprint = Blueprint("workflows", __name__, url_prefix=PREFIX)


class AnyTextConverter(BaseConverter):
    """A variable of a path that may contain anything, slashes too."""

    part_isolating = False
    regex = "(?s:.+)"


@blueprint.record
def add_converter(state: BlueprintSetupState) -> None:
    """Make the converter known before the rules that use it."""
    state.app.url_map.converters["any_text"] = AnyTextConverter


READ_PROBLEMS = ("validation-error", "deadlock", "service-unavailable", "query-timeout")
WRITE_PROBLEMS = (*READ_PROBLEMS, "transaction-conflict")


def _as_it_is(stored: StoredWorkflow) -> Raw:
    return Raw(stored.text.encode("utf-8"))


def _created(created: Created) -> Raw:
    return _as_it_is(created.workflow)


def _location(created: Created) -> dict[str, str]:
    return {"Location": f"{PREFIX}/{created.workflow.workflow_id}"}


THE_WORKFLOW = Answer(StoredWorkflow, 200, WORKFLOW, "The workflow.", body=_as_it_is)


@blueprint.post("")
@operation(
    Permission.WRITE,
    body=NewWorkflowSchema,
    wants_caller=True,
    answers=(
        Answer(
            Created,
            201,
            WORKFLOW,
            "The version is committed and the latest of its name.",
            body=_created,
            headers=_location,
            announces=("Location",),
        ),
    ),
    problems=(*WRITE_PROBLEMS, "conflict"),
    failure="Failed to create workflow",
)
def create_workflow(caller: Caller, workflow: Workflow) -> Created:
    """Register a workflow version.

    It becomes the latest version of its name, whatever its version string and status.
    """
    return current(WorkflowService).create(workflow, caller.identity)


@blueprint.get("")
@operation(
    Permission.READ,
    query=WorkflowQuery,
    answers=(Answer(WorkflowPage, 200, WorkflowPage, "One page of workflows."),),
    problems=READ_PROBLEMS,
    failure="Failed to list workflows",
)
def list_workflows(wanted: PageRequest) -> WorkflowPage:
    """List workflow versions, newest first.

    Filters compare stored text literally: a `*` finds rows labelled `*` and no others. In addition,
    `custom_labels[subdomain]=a,b` finds rows whose list of that subdomain has every given value.
    """
    return current(WorkflowService).find_page(wanted)


@blueprint.get("/<workflow_id>")
@operation(
    Permission.READ,
    path=WorkflowIdPath,
    answers=(THE_WORKFLOW,),
    problems=(*READ_PROBLEMS, "not-found"),
    failure="Failed to get workflow",
)
def get_workflow(workflow_id: UUID) -> StoredWorkflow:
    """Read one workflow version by its id."""
    return current(WorkflowService).find(workflow_id)


@blueprint.patch("/<workflow_id>")
@operation(
    Permission.ADMIN,
    path=WorkflowIdPath,
    body=ChangeSchema,
    wants_caller=True,
    answers=(THE_WORKFLOW,),
    problems=(*WRITE_PROBLEMS, "immutable-field-violation", "not-found", "workflow-status-conflict"),
    failure="Failed to update workflow",
)
def update_workflow(caller: Caller, workflow_id: UUID, change: Change) -> StoredWorkflow:
    """Change the status or the counters of a workflow version.

    Everything else never changes: register a new version instead.
    """
    return current(WorkflowService).update(workflow_id, change, caller.identity)


@blueprint.patch("/<workflow_id>/disable")
@operation(
    Permission.ADMIN,
    path=WorkflowIdPath,
    body=DisableSchema,
    wants_caller=True,
    answers=(THE_WORKFLOW,),
    problems=(*WRITE_PROBLEMS, "not-found", "workflow-status-conflict"),
    failure="Failed to disable workflow",
)
def disable_workflow(caller: Caller, workflow_id: UUID, change: Change) -> StoredWorkflow:
    """Disable a workflow version, with a reason or without."""
    return current(WorkflowService).update(workflow_id, change, caller.identity)


@blueprint.get("/by-name/<any_text:workflow_name>/versions")
@operation(
    Permission.READ,
    path=WorkflowNamePath,
    answers=(Answer(VersionList, 200, VersionList, "Every version of the name."),),
    problems=READ_PROBLEMS,
    failure="Failed to list workflow versions",
)
def list_workflow_versions(workflow_name: str) -> VersionList:
    """List every version of one name, newest first."""
    return current(WorkflowService).find_versions(workflow_name)


@blueprint.post("/search")
@operation(
    Permission.READ,
    body=SearchSchema,
    answers=(Answer(SearchAnswer, 200, SearchAnswer, "The best workflows, in rank order."),),
    problems=READ_PROBLEMS,
    failure="Failed to search workflows",
)
def search_workflows(wanted: SearchRequest) -> SearchAnswer:
    """Find the workflows that fit a workload best.

    Mandatory labels decide which workflows are ranked; detected and custom labels move their scores.
    Finding none is a success. With `explain` the answer says what each label contributed, and which
    workflows came closest without being found.
    """
    return current(WorkflowSearch).search(wanted)
