"""From the bytes of a request to the objects of ``model``: bodies and paths.

Numbers arrive as the decimals that were written. The order of the fields is the order in which faults
are reported; the detail of an answer names the first, its ``field_errors`` all.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from marshmallow import post_load

from datastorage.errors import Fault, InvalidInput
from datastorage.platform.web import fields as web_fields
from datastorage.platform.web import json
from datastorage.platform.web.contract import Contract, Faults
from datastorage.workflows import fields, label_fields
from datastorage.workflows.errors import ImmutableField
from datastorage.workflows.glossary import (
    CHANGE_EXAMPLE,
    DISABLE_EXAMPLE,
    GLOSSARY,
    SEARCH_EXAMPLE,
    WORKFLOW_EXAMPLE,
)
from datastorage.workflows.labels import (
    DETECTED,
    DETECTIONS,
    MANDATORY,
    PRIORITIES,
    SEVERITIES,
    STATUSES,
    WILDCARD,
)
from datastorage.workflows.lifecycle import Change
from datastorage.workflows.model import ACTIVE, DEFAULT_TOP_K, NO_MIN_SCORE, NewWorkflow, SearchRequest
from datastorage.workflows.scoring import Labels

MAX_TOP_K = 100
IMMUTABLE = (
    "workflow_id", "workflow_name", "version", "name", "description", "owner", "maintainer", "content",
    "content_hash", "parameters", "execution_engine", "container_image", "container_digest", "labels",
    "custom_labels", "detected_labels", "previous_version", "version_notes", "change_summary", "approved_by",
    "approved_at", "expected_success_rate", "expected_duration_seconds", "created_at", "created_by",
)  # fmt: skip


class WorkflowContract(Contract):
    """What the bodies of this feature have in common."""

    resource = "workflow"
    glossary = GLOSSARY

    def decode(self, body: bytes) -> Any:
        """Keep every number as it was written.

        Raises:
            InvalidInput: not one JSON value.
        """
        return json.decode_exactly(body, self.resource)

    def refusal(self, faults: Faults) -> InvalidInput:
        """Name the first fault in the detail."""
        return refusal(faults)


def refusal(faults: Mapping[str, Fault]) -> InvalidInput:
    """Return the error whose detail names the first of ``faults``."""
    field, fault = next(iter(faults.items()))
    return InvalidInput(f"{field}: {fault}", faults)


class MandatoryLabels(Contract):
    """The five labels of a workflow; ``*`` is "any" where it is allowed."""

    resource = "workflow"
    glossary = GLOSSARY

    signal_type = fields.Words(required=True, maximum=255, not_wildcard=True)
    severity = fields.OneOf(SEVERITIES, required=True)
    component = fields.Words(required=True, maximum=255)
    environment = fields.Words(required=True, maximum=255)
    priority = fields.OneOf((*PRIORITIES, WILDCARD), required=True)


class DetectedLabels(Contract):
    """What a workload was found to be, or a workflow supports."""

    resource = "workflow"

    gitOpsManaged = web_fields.Boolean()
    gitOpsTool = fields.OneOf((*DETECTED["gitOpsTool"].choices, WILDCARD), also=("",))
    pdbProtected = web_fields.Boolean()
    serviceMesh = fields.OneOf((*DETECTED["serviceMesh"].choices, WILDCARD), also=("",))
    networkIsolated = web_fields.Boolean()
    helmManaged = web_fields.Boolean()
    stateful = web_fields.Boolean()
    hpaEnabled = web_fields.Boolean()
    failed_detections = label_fields.ListOf(DETECTIONS)


class NewWorkflowSchema(WorkflowContract):
    """A workflow version to be registered; what the server sets is ignored."""

    example = WORKFLOW_EXAMPLE

    workflow_name = fields.Words(required=True, maximum=255)
    version = fields.Words(required=True, maximum=50)
    name = fields.Words(required=True, maximum=255)
    description = fields.Words(required=True)
    content = fields.Words(required=True)
    content_hash = fields.Words(required=True, exactly=64)
    execution_engine = fields.Words(required=True, maximum=50)
    labels = label_fields.Part(MandatoryLabels(), required=True)
    status = fields.OneOf(STATUSES, required=True)
    custom_labels = label_fields.Custom()
    detected_labels = label_fields.Detected(DetectedLabels())
    owner = fields.Words(maximum=255)
    maintainer = fields.Words(maximum=255)
    parameters = fields.Document()
    container_image = fields.Words()
    container_digest = fields.Words(maximum=71)
    previous_version = fields.Words(maximum=50)
    deprecation_notice = fields.Words()
    version_notes = fields.Words()
    change_summary = fields.Words()
    approved_by = fields.Words(maximum=255)
    approved_at = web_fields.Instant()
    expected_success_rate = fields.Fraction()
    expected_duration_seconds = fields.WholeNumber()
    created_by = fields.Words(maximum=255)

    @post_load
    def make_workflow(self, data: dict[str, Any], **_: Any) -> NewWorkflow:
        """Absent label groups are empty ones."""
        data["custom_labels"] = data["custom_labels"] or {}
        data["detected_labels"] = data["detected_labels"] or {}
        return NewWorkflow(**data)


class ChangeSchema(WorkflowContract):
    """What an update may change; every other member is ignored, unless it never changes."""

    example = CHANGE_EXAMPLE

    status = fields.OneOf(STATUSES)
    disabled_by = fields.Words(maximum=255)
    disabled_reason = fields.Words()
    updated_by = fields.Words(maximum=255)
    reason = fields.Words()
    deprecation_notice = fields.Words()
    total_executions = fields.WholeNumber()
    successful_executions = fields.WholeNumber()
    actual_success_rate = fields.Fraction()

    def read(self, data: Any) -> Change:
        """Return the change.

        Raises:
            ImmutableField: it names a field that never changes; nothing else is looked at.
            InvalidInput: it is no object, or fields of it are at fault.
        """
        sent = [name for name in IMMUTABLE if data.get(name) is not None] if isinstance(data, dict) else []
        if sent:
            fault = Fault("cannot be changed")
            detail = f"{', '.join(sent)} cannot be changed - create a new version of the workflow instead"
            raise ImmutableField(detail, dict.fromkeys(sent, fault))
        change: Change = super().read(data)
        return change

    @post_load
    def make_change(self, data: dict[str, Any], **_: Any) -> Change:
        """Return the change itself."""
        return Change(**data)


class DisableSchema(WorkflowContract):
    """Why a workflow is disabled, and by whom; no body at all says neither."""

    body_is_optional = True
    example = DISABLE_EXAMPLE

    reason = fields.Words()
    updated_by = fields.Words(maximum=255)

    def decode(self, body: bytes) -> Any:
        """Take an empty body for ``{}``.

        Raises:
            InvalidInput: not one JSON value.
        """
        return super().decode(body) if body else {}

    @post_load
    def make_change(self, data: dict[str, Any], **_: Any) -> Change:
        """Return the change to ``disabled``."""
        return Change(status="disabled", **data)


class SearchedLabels(Contract):
    """The filter of a search: an empty label means "not known"."""

    resource = "workflow_search"
    glossary = GLOSSARY

    signal_type = fields.Words(required=True, maximum=255)
    severity = fields.OneOf(SEVERITIES, required=True)
    component = fields.Words(required=True, maximum=255, blank=True)
    environment = fields.Words(required=True, maximum=255, blank=True)
    priority = fields.OneOf(PRIORITIES, also=("",), required=True)
    custom_labels = label_fields.Custom()
    detected_labels = label_fields.Detected(DetectedLabels())
    status = label_fields.ListOf(STATUSES)


class SearchSchema(WorkflowContract):
    """A search: labels, and how many results of which score.

    With `explain`, each result says what every label contributed, and the answer names the workflows
    that came closest without being found and what kept them out.
    """

    resource = "workflow_search"
    example = SEARCH_EXAMPLE

    filters = label_fields.Part(SearchedLabels(), required=True)
    remediation_id = fields.Words(maximum=255)
    top_k = fields.WholeNumber(minimum=1, maximum=MAX_TOP_K)
    min_score = fields.Fraction()
    include_disabled = web_fields.Boolean()
    explain = web_fields.Boolean()

    @post_load
    def make_request(self, data: dict[str, Any], **_: Any) -> SearchRequest:
        """Apply the defaults, and settle what the answer will repeat of the filter."""
        filters = data["filters"]
        mandatory = {name: filters[name] for name in MANDATORY}
        custom, detected = filters["custom_labels"] or {}, filters["detected_labels"] or {}
        include_disabled = bool(data["include_disabled"])
        statuses = dict.fromkeys(filters["status"] or [ACTIVE])
        if include_disabled:
            statuses["disabled"] = None
        echo = mandatory | ({"custom_labels": custom} if custom else {}) | {"detected_labels": detected}
        if filters["status"] is not None:
            echo["status"] = filters["status"]
        return SearchRequest(
            wanted=Labels(mandatory, custom, detected),
            statuses=tuple(statuses),
            echo=echo,
            remediation_id=data["remediation_id"] or None,
            top_k=data["top_k"] or DEFAULT_TOP_K,
            min_score=data["min_score"] or NO_MIN_SCORE,
            include_disabled=include_disabled,
            explain=bool(data["explain"]),
        )


class WorkflowIdPath(WorkflowContract):
    """The id in the path of one workflow."""

    workflow_id = web_fields.Uuid(required=True)

    @post_load
    def make_id(self, data: Mapping[str, Any], **_: Any) -> UUID:
        """Return the id itself."""
        workflow_id: UUID = data["workflow_id"]
        return workflow_id


class WorkflowNamePath(WorkflowContract):
    """The name in the path of its versions."""

    workflow_name = fields.Words(required=True, blank=True)

    @post_load
    def make_name(self, data: Mapping[str, Any], **_: Any) -> str:
        """Return the name itself."""
        workflow_name: str = data["workflow_name"]
        return workflow_name


def readers() -> tuple[Contract, ...]:
    """Return one of each schema that a view asks for."""
    bodies = (NewWorkflowSchema(), ChangeSchema(), DisableSchema(), SearchSchema())
    return (*bodies, WorkflowIdPath(), WorkflowNamePath())


def field_paths() -> set[str]:
    """Return the paths of all fields, the only ones that appear in metrics."""
    parts = {"labels": MandatoryLabels, "detected_labels": DetectedLabels, "filters": SearchedLabels}
    nested = {f"{path}.{name}" for path, contract in parts.items() for name in contract().fields}
    return nested | {name for reader in readers() for name in reader.fields}
