"""Statements on ``remediation_workflow_catalog``: pure builders, values only ever as bound parameters."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Insert, Select, Text, Update, cast, func, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from datastorage.workflows.labels import MANDATORY
from datastorage.workflows.model import NewWorkflow, SearchRequest, WorkflowFilter
from datastorage.workflows.tables import IS_LATEST, NAME_AND_VERSION, remediation_workflow_catalog

_table = remediation_workflow_catalog
_columns = _table.c

ROW = tuple(
    # As text: numbers of any size pass through unchanged.
    cast(column, Text).label(column.name) if column.name == "parameters" else column
    for column in _columns
)
"""A whole row; ``parameters`` is JSON text."""

NEWEST_FIRST = (_columns.created_at.desc(), _columns.workflow_id.asc())

_LOCK_PREFIX = "datastorage.workflows/"


def lock_name(workflow_name: str) -> Select[Any]:
    """Wait until no other transaction registers a version of this name."""
    key = func.hashtextextended(_LOCK_PREFIX + workflow_name, 0)
    return select(func.pg_advisory_xact_lock(key))


NOW = select(func.clock_timestamp())
"""The server's clock right now, not at the start of the transaction."""


def demote_latest(workflow_name: str) -> Update:
    """Take the flag from the latest version of a name and return its version."""
    return (
        update(_table)
        .where(_columns.workflow_name == workflow_name, IS_LATEST)
        .values(is_latest_version=False)
        .returning(_columns.version)
    )


def insert_latest(workflow: NewWorkflow, **columns: Any) -> Insert:
    """Insert a version as the latest and return the row, or no row when the version exists."""
    values = {name: getattr(workflow, name) for name in workflow.__slots__}
    values |= {"parameters": _json(workflow.parameters), "is_latest_version": True, **columns}
    return insert(_table).values(values).on_conflict_do_nothing(constraint=NAME_AND_VERSION).returning(*ROW)


def _json(text: str | None) -> ColumnElement[Any] | None:
    return None if text is None else cast(literal(text, Text), JSONB)


def one(workflow_id: UUID) -> Select[Any]:
    """Select one row."""
    return select(*ROW).where(_columns.workflow_id == workflow_id)


def change(workflow_id: UUID, columns: dict[str, Any]) -> Update:
    """Write ``columns`` of one row and return it; a trigger sets ``updated_at``."""
    return update(_table).where(_columns.workflow_id == workflow_id).values(columns).returning(*ROW)


def page(wanted: WorkflowFilter, *, limit: int, offset: int) -> Select[Any]:
    """Select one page of rows, newest first."""
    return select(*ROW).where(*conditions(wanted)).order_by(*NEWEST_FIRST).limit(limit).offset(offset)


def count(wanted: WorkflowFilter) -> Select[Any]:
    """Count all matches of a filter."""
    return select(func.count()).select_from(_table).where(*conditions(wanted))


def versions(workflow_name: str) -> Select[Any]:
    """Select every version of one name, newest first."""
    return select(*ROW).where(_columns.workflow_name == workflow_name).order_by(*NEWEST_FIRST)


def conditions(wanted: WorkflowFilter) -> list[ColumnElement[bool]]:
    """Return a list filter as conditions: equality and containment, which the GIN indexes answer."""
    found: list[ColumnElement[bool]] = []
    if wanted.status is not None:
        found.append(_columns.status == wanted.status)
    if wanted.workflow_name is not None:
        found.append(_columns.workflow_name == wanted.workflow_name)
    if wanted.labels:
        found.append(_columns.labels.contains(wanted.labels))
    if wanted.custom_labels:
        found.append(_columns.custom_labels.contains(wanted.custom_labels))
    return found


def _label(name: str) -> ColumnElement[str]:
    text: ColumnElement[str] = _columns.labels[name].astext
    return text


NEAR_MISS_COLUMNS = (
    "workflow_id",
    "workflow_name",
    "version",
    "name",
    "status",
    "created_at",
    "labels",
    "custom_labels",
    "detected_labels",
)


def near_misses(wanted: SearchRequest, found: Sequence[UUID]) -> Select[Any]:
    """Select the latest versions for the searched signal, in any letter case, that are not ``found``."""
    columns = (_columns[name] for name in NEAR_MISS_COLUMNS)
    same_signal = func.lower(_label(MANDATORY[0])) == func.lower(wanted.wanted.mandatory[MANDATORY[0]])
    return select(*columns).where(IS_LATEST, same_signal, _columns.workflow_id.not_in(found))
