"""The query parameters of the list."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import marshmallow
from marshmallow import post_load, pre_load

from datastorage.workflows import fields
from datastorage.workflows.glossary import PARAMETERS
from datastorage.workflows.labels import MANDATORY, STATUSES, CustomLabels
from datastorage.workflows.model import DEFAULT_PAGE_ROWS, PageRequest, WorkflowFilter
from datastorage.workflows.schemas import WorkflowContract

MAX_PAGE_ROWS = 1000
MAX_OFFSET = fields.INT64 - 1

_CUSTOM_LABELS = re.compile(r"custom_labels\[(.*)\]", re.DOTALL)


class ListSchema(WorkflowContract):
    """The parameters of ``GET /api/v1/workflows``; an empty one counts as not given."""

    glossary = PARAMETERS

    status = fields.OneOf(STATUSES)
    signal_type = fields.Words()
    severity = fields.Words()
    component = fields.Words()
    environment = fields.Words()
    priority = fields.Words()
    workflow_name = fields.Words()
    limit = fields.PageNumber(minimum=1, maximum=MAX_PAGE_ROWS, default=DEFAULT_PAGE_ROWS)
    offset = fields.PageNumber(minimum=0, maximum=MAX_OFFSET, default=0)
    custom_labels = marshmallow.fields.Raw(load_default=dict, metadata={"internal": True})

    @pre_load
    def drop_empty(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Take an empty parameter for an absent one."""
        return {name: value for name, value in data.items() if value != ""}

    @post_load
    def make_page(self, data: dict[str, Any], **_: Any) -> PageRequest:
        """Return what is wanted."""
        labels = {name: data[name] for name in MANDATORY if data[name] is not None}
        wanted = WorkflowFilter(
            status=data["status"],
            workflow_name=data["workflow_name"],
            labels=labels,
            custom_labels=data["custom_labels"],
        )
        return PageRequest(wanted, data["limit"], data["offset"])


def custom_labels(parameters: Mapping[str, Sequence[str]]) -> CustomLabels:
    """Return the values of every ``custom_labels[subdomain]``, each a comma-separated list."""
    found: CustomLabels = {}
    for name, lists in parameters.items():
        match = _CUSTOM_LABELS.fullmatch(name)
        values = [value for text in lists for value in text.split(",") if value]
        if match and values:
            found[match[1]] = values
    return found
