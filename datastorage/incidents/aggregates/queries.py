"""Statements that count incidents: pure builders, values only ever as bound parameters."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Date, Interval, Select, and_, bindparam, cast, func, or_, select

from datastorage.incidents.aggregates.model import LegacyRateRequest, RateRequest
from datastorage.incidents.enumerations import FAILED, SUCCEEDED
from datastorage.incidents.tables import resource_action_traces
from datastorage.platform.db.conditions import where

Counts = Select[*tuple[Any, ...]]

_c = resource_action_traces.c


def _count_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count().filter(condition)


_OUTCOMES = (
    func.count().label("total"),
    _count_of(_c.execution_status == SUCCEEDED).label("succeeded"),
    _count_of(_c.execution_status == FAILED).label("failed"),
)
_OUTCOMES_AND_MODES = (
    *_OUTCOMES,
    _count_of(_c.ai_selected_workflow).label("catalog_selected"),
    _count_of(_c.ai_chained_workflows).label("chained"),
    _count_of(_c.ai_manual_escalation).label("manual_escalation"),
)


def workflow_outcomes(wanted: LegacyRateRequest) -> Counts:
    """Count the outcomes of one workflow; older producers stored its id as the action's."""
    of_older_producer = and_(_c.workflow_id.is_(None), _c.action_id == wanted.workflow_id)
    of_workflow = or_(_c.workflow_id == wanted.workflow_id, of_older_producer)
    return select(*_OUTCOMES).where(of_workflow, *_within(wanted.window))


def outcomes_by_namespace(window: timedelta | None) -> Counts:
    """Count the outcomes of each namespace, most first; equal counts in the order of bytes."""
    return (
        select(_c.namespace, *_OUTCOMES)
        .where(_c.namespace != "", *_within(window))
        .group_by(_c.namespace)
        .order_by(func.count().desc(), _c.namespace.collate("C"))
    )


def counts_by_severity(window: timedelta | None) -> Counts:
    """Count the incidents of each severity, in no particular order."""
    severity = _c.signal_severity
    return select(severity, func.count()).where(*_within(window)).group_by(severity)


def counts_by_day(since: datetime) -> Counts:
    """Count the incidents of each day in UTC, oldest first."""
    day = cast(func.timezone("UTC", _c.action_timestamp), Date).label("day")
    return select(day, func.count()).where(_c.action_timestamp >= since).group_by(day).order_by(day)


def outcomes_by_workflow(wanted: RateRequest) -> Counts:
    """Count the outcomes of each version of each workflow; one without a version has the empty one."""
    version = func.coalesce(_c.workflow_version, "").label("workflow_version")
    return _outcomes(wanted, _c.workflow_id, version)


def outcomes_by_incident_type(wanted: RateRequest) -> Counts:
    """Count the outcomes of each type of incident."""
    return _outcomes(wanted, _c.incident_type)


def outcomes(wanted: RateRequest) -> Counts:
    """Count the outcomes of everything wanted as one group."""
    return _outcomes(wanted)


def _outcomes(wanted: RateRequest, *keys: ColumnElement[Any]) -> Counts:
    found = (*where(wanted.conditions), *_within(wanted.window))
    return select(*keys, *_OUTCOMES_AND_MODES).where(*found).group_by(*keys)


def _within(window: timedelta | None) -> list[ColumnElement[bool]]:
    """Bound the time by the database's own now, which is one instant in all statements of a transaction."""
    if window is None:
        return []
    return [_c.action_timestamp >= func.now() - bindparam(None, window, Interval())]
