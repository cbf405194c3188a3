"""From the bytes of a request to what it asks for: bodies and paths.

Numbers arrive as the decimals that were written. The order of the fields is the order in which faults
are reported; the detail of an answer names the first, its ``field_errors`` all.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import post_load

from datastorage.errors import Fault, InvalidInput
from datastorage.platform.records import judges_of, meanings_of
from datastorage.platform.web import fields as web_fields
from datastorage.platform.web import json
from datastorage.platform.web.accept import PathContract, QuickContract
from datastorage.platform.web.contract import Faults
from datastorage.platform.web.fields import Judged
from datastorage.platform.web.nested import Nested
from datastorage.workflows.errors import ImmutableField, refusal
from datastorage.workflows.examples import CHANGE, DISABLE, NEW_WORKFLOW, SEARCH
from datastorage.workflows.fields import Exact, Listed
from datastorage.workflows.label_fields import (
    Custom,
    Detected,
    ListOf,
)
from datastorage.workflows.labels import MANDATORY, MEANINGS, PRIORITIES, SEVERITIES, STATUSES
from datastorage.workflows.lifecycle import Change
from datastorage.workflows.model import DEFAULT_TOP_K, NO_MIN_SCORE, SearchedFilters, SearchRequest
from datastorage.workflows.scoring import Labels
from datastorage.workflows.workflow import CHANGEABLE, IMMUTABLE, MEMBERS, REGISTERED, Workflow, registered

MAX_TOP_K = 100
CANNOT_CHANGE = Fault("cannot be changed")


class WorkflowContract(QuickContract):
    """What the bodies of this feature have in common."""

    resource = "workflow"
    glossary: ClassVar[Mapping[str, str]] = meanings_of(MEMBERS) | {"reason": "Why it changes."}

    def decode(self, body: bytes) -> Any:
        """Keep every number as it was written.

        Raises:
            InvalidInput: not one JSON value.
        """
        return json.decode_exactly(body, self.resource)

    def refusal(self, faults: Faults) -> InvalidInput:
        """Name the first fault in the detail."""
        return refusal(faults)


class NewWorkflowSchema(WorkflowContract):
    """A workflow version to be registered; what the server sets is ignored."""

    example = NEW_WORKFLOW

    class Meta(WorkflowContract.Meta):
        """The members of a version that a client may send."""

        include = judges_of(REGISTERED)

    @post_load
    def make_workflow(self, data: dict[str, Any], **_: Any) -> Workflow:
        """Absent label groups are empty ones."""
        return registered(data)


class ChangeSchema(WorkflowContract):
    """What an update may change; every other member is ignored, unless it never changes."""

    example = CHANGE

    class Meta(WorkflowContract.Meta):
        """The members of a version that an update may set, and why."""

        include: ClassVar[dict[str, Judged]] = {
            each.name: each.in_update for each in CHANGEABLE if each.in_update is not None
        } | {"reason": Exact()}

    def read(self, data: Any) -> Change:
        """Return the change.

        Raises:
            ImmutableField: it names a field that never changes; nothing else is looked at.
            InvalidInput: it is no object, or fields of it are at fault.
        """
        sent = [name for name in IMMUTABLE if data.get(name) is not None] if isinstance(data, dict) else []
        if sent:
            detail = f"{', '.join(sent)} cannot be changed - create a new version of the workflow instead"
            raise ImmutableField(detail, dict.fromkeys(sent, CANNOT_CHANGE))
        change: Change = super().read(data)
        return change

    @post_load
    def make_change(self, data: dict[str, Any], **_: Any) -> Change:
        """Return the change itself."""
        return Change(**data)


class DisableSchema(WorkflowContract):
    """Why a workflow is disabled, and by whom; no body at all says neither."""

    body_is_optional = True
    example = DISABLE

    reason = Exact()
    updated_by = Exact(maximum=255)

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


class SearchedLabels(QuickContract):
    """The filter of a search: an empty label means "not known"."""

    resource = "workflow_search"
    glossary = MEANINGS | {"status": "The statuses to find, `active` when absent."}

    signal_type = Exact(required=True, maximum=255)
    severity = Listed(SEVERITIES, required=True)
    component = Exact(required=True, maximum=255, blank=True)
    environment = Exact(required=True, maximum=255, blank=True)
    priority = Listed(PRIORITIES, also=("",), required=True)
    custom_labels = Custom()
    detected_labels = Detected()
    status = ListOf(STATUSES)

    @post_load
    def make_filters(self, data: dict[str, Any], **_: Any) -> SearchedFilters:
        """Absent label groups are empty ones."""
        data["custom_labels"] = data["custom_labels"] or {}
        data["detected_labels"] = data["detected_labels"] or {}
        return SearchedFilters(**data)


class SearchSchema(WorkflowContract):
    """A search: labels, and how many results of which score.

    With `explain`, each result says what every label contributed, and the answer names the workflows
    that came closest without being found.
    """

    resource = "workflow_search"
    example = SEARCH
    glossary: ClassVar[Mapping[str, str]] = {
        "filters": "The labels to look for.",
        "remediation_id": "The remediation that searches; the correlation id of the audit event about it.",
        "top_k": "Most results wanted, best first; 10 when absent.",
        "min_score": "Lowest score wanted, 0 to 1.",
        "include_disabled": "Whether disabled workflows may be found too.",
        "explain": "Whether to say how each score came about and what was nearly found.",
    }

    filters = Nested(SearchedLabels(), required=True)
    remediation_id = Exact(maximum=255)
    top_k = web_fields.Integer(minimum=1, maximum=MAX_TOP_K)
    min_score = web_fields.Fraction()
    include_disabled = web_fields.Boolean()
    explain = web_fields.Boolean()

    @post_load
    def make_request(self, data: dict[str, Any], **_: Any) -> SearchRequest:
        """Apply the defaults."""
        filters: SearchedFilters = data["filters"]
        include_disabled = bool(data["include_disabled"])
        statuses = [*(filters.status or ["active"]), *(["disabled"] if include_disabled else [])]
        mandatory = {name: getattr(filters, name) for name in MANDATORY}
        return SearchRequest(
            wanted=Labels(mandatory, filters.custom_labels, filters.detected_labels),
            statuses=tuple(dict.fromkeys(statuses)),
            echo=filters,
            remediation_id=data["remediation_id"] or None,
            top_k=data["top_k"] or DEFAULT_TOP_K,
            min_score=data["min_score"] or NO_MIN_SCORE,
            include_disabled=include_disabled,
            explain=bool(data["explain"]),
        )


class WorkflowIdPath(WorkflowContract, PathContract):
    """The id in the path of one workflow."""

    workflow_id = web_fields.Uuid(required=True)


class WorkflowNamePath(WorkflowContract, PathContract):
    """The name in the path of its versions."""

    workflow_name = Exact(required=True, blank=True)
