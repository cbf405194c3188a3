"""The workflow endpoints: unpack, call, return."""

from typing import Any
from uuid import UUID

from flask import Blueprint
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter

from datastorage.platform.web.contract import Answer, accepts, accepts_path, accepts_query, returns
from datastorage.platform.web.current import current
from datastorage.platform.web.sent import Sent
from datastorage.workflows.answers import (
    SearchAnswerSchema,
    VersionListSchema,
    WorkflowPageSchema,
    WorkflowSchema,
)
from datastorage.workflows.lifecycle import Change
from datastorage.workflows.listing import ListSchema, custom_labels
from datastorage.workflows.model import (
    Created,
    NewWorkflow,
    PageRequest,
    SearchAnswer,
    SearchRequest,
    VersionList,
    Workflow,
    WorkflowPage,
)
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


class WorkflowListing:
    """The parameters of the list; those for custom labels may be repeated, and all of them count."""

    resource = ListSchema.resource

    def __init__(self, schema: ListSchema) -> None:
        self.documented_by = schema
        self._schema = schema

    def read(self, sent: Sent) -> PageRequest:
        """Return what is wanted.

        Raises:
            InvalidInput: naming every bad parameter.
        """
        repeatable = custom_labels({name: list(sent.every(name)) for name in sent.texts})
        wanted: PageRequest = self._schema.read({**sent.texts, "custom_labels": repeatable})
        return wanted


READ_PROBLEMS = ("validation-error", "deadlock", "service-unavailable", "query-timeout")
WRITE_PROBLEMS = (*READ_PROBLEMS, "transaction-conflict")
WORKFLOW = Answer(Workflow, 200, WorkflowSchema, "The workflow.")


def _location(created: Created) -> dict[str, str]:
    return {"Location": f"{PREFIX}/{created.workflow.workflow_id}"}


def _workflow(created: Created) -> Any:
    return created.workflow


@blueprint.post("")
@returns(
    Answer(
        Created,
        201,
        WorkflowSchema,
        "The version is committed and the latest of its name.",
        body=_workflow,
        headers=_location,
        announces=("Location",),
    ),
    problems=(*WRITE_PROBLEMS, "conflict"),
    failure="Failed to create workflow",
)
@accepts(NewWorkflowSchema)
def create_workflow(workflow: NewWorkflow) -> Created:
    """Register a workflow version.

    It becomes the latest version of its name, whatever its version string and status.
    """
    return current(WorkflowService).create(workflow)


@blueprint.get("")
@returns(
    Answer(WorkflowPage, 200, WorkflowPageSchema, "One page of workflows."),
    problems=READ_PROBLEMS,
    failure="Failed to list workflows",
)
@accepts_query(WorkflowListing)
def list_workflows(wanted: PageRequest) -> WorkflowPage:
    """List workflow versions, newest first.

    Filters compare stored text literally: a `*` finds rows labelled `*` and no others. In addition,
    `custom_labels[subdomain]=a,b` finds rows whose list of that subdomain has every given value.
    """
    return current(WorkflowService).find_page(wanted)


@blueprint.get("/<workflow_id>")
@returns(WORKFLOW, problems=(*READ_PROBLEMS, "not-found"), failure="Failed to get workflow")
@accepts_path(WorkflowIdPath)
def get_workflow(workflow_id: UUID) -> Workflow:
    """Read one workflow version by its id."""
    return current(WorkflowService).find(workflow_id)


@blueprint.patch("/<workflow_id>")
@returns(
    WORKFLOW,
    problems=(*WRITE_PROBLEMS, "immutable-field-violation", "not-found", "workflow-status-conflict"),
    failure="Failed to update workflow",
)
@accepts_path(WorkflowIdPath)
@accepts(ChangeSchema)
def update_workflow(workflow_id: UUID, change: Change) -> Workflow:
    """Change the status or the counters of a workflow version.

    Everything else never changes: register a new version instead.
    """
    return current(WorkflowService).update(workflow_id, change)


@blueprint.patch("/<workflow_id>/disable")
@returns(
    WORKFLOW,
    problems=(*WRITE_PROBLEMS, "not-found", "workflow-status-conflict"),
    failure="Failed to disable workflow",
)
@accepts_path(WorkflowIdPath)
@accepts(DisableSchema)
def disable_workflow(workflow_id: UUID, change: Change) -> Workflow:
    """Disable a workflow version, with a reason or without."""
    return current(WorkflowService).update(workflow_id, change)


@blueprint.get("/by-name/<any_text:workflow_name>/versions")
@returns(
    Answer(VersionList, 200, VersionListSchema, "Every version of the name."),
    problems=READ_PROBLEMS,
    failure="Failed to list workflow versions",
)
@accepts_path(WorkflowNamePath)
def list_workflow_versions(workflow_name: str) -> VersionList:
    """List every version of one name, newest first."""
    return current(WorkflowService).find_versions(workflow_name)


@blueprint.post("/search")
@returns(
    Answer(SearchAnswer, 200, SearchAnswerSchema, "The best workflows, in rank order."),
    problems=READ_PROBLEMS,
    failure="Failed to search workflows",
)
@accepts(SearchSchema)
def search_workflows(wanted: SearchRequest) -> SearchAnswer:
    """Find the workflows that fit a workload best.

    Mandatory labels decide which workflows are ranked; detected and custom labels move their scores.
    Finding none is a success. With `explain` the answer says what each label contributed, and which
    workflows came closest without being found.
    """
    return current(WorkflowSearch).search(wanted)
