"""The query parameters of the list."""

import re
from functools import partial
from typing import Any

from datastorage.errors import InvalidInput
from datastorage.platform.db.conditions import Condition
from datastorage.platform.web import json
from datastorage.platform.web.grammar import integer, one_of, worded
from datastorage.platform.web.parameters import Find, Parameter, ParameterReader, Reading, equal_to
from datastorage.workflows.errors import refusal
from datastorage.workflows.labels import MANDATORY, STATUSES
from datastorage.workflows.model import DEFAULT_PAGE_ROWS, PageRequest
from datastorage.workflows.queries import HAS
from datastorage.workflows.tables import remediation_workflow_catalog

MAX_PAGE_ROWS = 1000
MAX_OFFSET = 2**63 - 1

_columns = remediation_workflow_catalog.c
_CUSTOM_LABELS = re.compile(r"custom_labels\[(.*)\]", re.DOTALL)


class WorkflowQuery(ParameterReader[PageRequest]):
    """The parameters of ``GET /api/v1/workflows``; those for custom labels may be repeated, and all count."""

    def __init__(self) -> None:
        status = worded(one_of(STATUSES), f"must be one of {', '.join(STATUSES)}")
        super().__init__(
            Parameter(
                "status", "Keeps the workflows with this status.", status, finds=equal_to(_columns.status)
            ),
            *map(_label, MANDATORY),
            Parameter(
                "workflow_name", "Keeps the versions of this name.", finds=equal_to(_columns.workflow_name)
            ),
            _number("limit", "Rows of a page.", 1, MAX_PAGE_ROWS, DEFAULT_PAGE_ROWS),
            _number("offset", "Rows to skip.", 0, MAX_OFFSET, 0),
            make=_page,
            rules=(_read_custom_labels,),
            refuse=_first_fault,
            resource="workflow",
        )


def _label(name: str) -> Parameter:
    meaning = f"Keeps the workflows whose label `{name}` is exactly this."
    return Parameter(name, meaning, finds=(Find(_columns.labels, HAS, of=partial(_labelled, name)),))


def _labelled(name: str, value: Any) -> str:
    return json.encode({name: value}).decode("utf-8")


def _number(name: str, meaning: str, minimum: int, maximum: int, default: int) -> Parameter:
    grammar = worded(integer(minimum, maximum), f"must be an integer from {minimum} to {maximum}")
    return Parameter(name, meaning, grammar, default=default)


def _read_custom_labels(reading: Reading) -> None:
    """Ask for the values of every ``custom_labels[subdomain]``, each text a comma-separated list."""
    found: dict[str, list[str]] = {}
    for name in reading.sent.texts:
        match = _CUSTOM_LABELS.fullmatch(name)
        if match:
            found[match[1]] = [
                value for text in reading.sent.every(name) for value in text.split(",") if value
            ]
    wanted = {subdomain: values for subdomain, values in found.items() if values}
    if wanted:
        text = json.encode(wanted).decode("utf-8")
        reading.conditions.append(Condition("custom_labels", _columns.custom_labels, HAS, text))


def _first_fault(_: ParameterReader[Any], reading: Reading) -> InvalidInput:
    return refusal(reading.faults)


def _page(reading: Reading) -> PageRequest:
    return PageRequest(reading.filter, reading.values["limit"], reading.values["offset"])
