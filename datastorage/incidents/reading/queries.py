"""Statements that find incidents: pure builders, values only ever as bound parameters (BR-STORAGE-025)."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, bindparam, cast, func, or_, select, tuple_

from datastorage.incidents.reading.model import IncidentFilter, Position, View
from datastorage.incidents.reading.projection import MEMBERS
from datastorage.incidents.tables import resource_action_traces

_c = resource_action_traces.c
_NEWEST_FIRST = (_c.action_timestamp.desc(), _c.id.desc())


def page(wanted: IncidentFilter, *, view: View, limit: int, after: Position | None = None) -> Select[Any]:
    """Select a stretch of the result as JSON texts; the order is total, so pages never repeat a row."""
    found = (
        select(*_MEMBERS[view])
        .where(*conditions(wanted), *_behind(after))
        .order_by(*_NEWEST_FIRST)
        .limit(limit)
    )
    return _as_json(found)


def key_of_row(wanted: IncidentFilter, number: int) -> Select[datetime, int]:
    """Select the sort key of one row of the result, counted from 1.

    A page at an offset starts behind it: with OFFSET in ``page`` PostgreSQL would write the JSON of all
    rows that it skips, while their keys are in the index.
    """
    keys = select(_c.action_timestamp, _c.id).where(*conditions(wanted))
    return keys.order_by(*_NEWEST_FIRST).limit(1).offset(number - 1)


def one(incident_id: int, at: datetime | None = None) -> Select[Any]:
    """Select one incident in full as a JSON text; ``at``, if known, names its partition."""
    found = select(*_MEMBERS[View.FULL]).where(_c.id == incident_id)
    return _as_json(found if at is None else found.where(_c.action_timestamp == at))


def count(wanted: IncidentFilter) -> Select[Any]:
    """Count all matches of the filters, wherever the page lies."""
    return select(func.count()).select_from(resource_action_traces).where(*conditions(wanted))


_MEMBERS = {
    view: [column.label(name) for name, column in members.items()] for view, members in MEMBERS.items()
}
"""Made once: forty labels for every page would cost as much as sending the statement."""


def _as_json(found: Select[Any]) -> Select[Any]:
    """``SELECT row_to_json(incident)::text FROM (…) AS incident``; reading a subquery keeps its order."""
    incident = found.subquery("incident")
    return select(cast(func.row_to_json(incident.table_valued()), Text))


def conditions(wanted: IncidentFilter) -> list[ColumnElement[bool]]:
    """Return the filters as conditions; time bounds prune partitions."""
    found = [_c[name] == value for name, value in wanted.equals.items()]
    if wanted.alert_name is not None:
        of_signal = and_(_c.alert_name.is_(None), _c.signal_name == wanted.alert_name)
        found.append(or_(_c.alert_name == wanted.alert_name, of_signal))
    if wanted.since is not None:
        found.append(_c.action_timestamp >= wanted.since)
    if wanted.until is not None:
        found.append(_c.action_timestamp <= wanted.until)
    return found


def _behind(after: Position | None) -> list[ColumnElement[bool]]:
    """Return the conditions of a page after the first; the comparison of rows alone prunes nothing."""
    if after is None:
        return []
    timestamp = bindparam(None, after.action_timestamp, _c.action_timestamp.type)
    last = tuple_(timestamp, bindparam(None, after.incident_id, _c.id.type))
    return [_c.action_timestamp <= after.action_timestamp, tuple_(_c.action_timestamp, _c.id) < last]
