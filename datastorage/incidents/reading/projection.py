"""Incidents as PostgreSQL writes them: one JSON text per row, so that no row is taken apart in Python.

Every member of a representation is always there. Numbers are JSON numbers, times RFC 3339 in UTC with six
fractional digits or none, jsonb columns JSON values. What there is to show, ``Trace`` declares.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    DateTime,
    Double,
    Numeric,
    Text,
    cast,
    func,
    literal_column,
)

from datastorage.incidents.representations import NAMES, View
from datastorage.incidents.tables import resource_action_traces
from datastorage.incidents.trace import SHOWN

_c = resource_action_traces.c

_UTC: ColumnElement[str] = literal_column("'UTC'")
_RFC3339: ColumnElement[str] = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'""")
_NO_FRACTION: ColumnElement[str] = literal_column("'.000000Z'")
_ZULU: ColumnElement[str] = literal_column("'Z'")
_SLASH: ColumnElement[str] = literal_column("'/'")
_FALSE: ColumnElement[bool] = literal_column("false")

# Outside strings the only blanks of jsonb's text are separators; a string is matched as a whole and kept.
_STRING_OR_BLANK: ColumnElement[str] = literal_column(r"""'("(?:[^"\\]|\\.)*")|\s+'""")
_STRING: ColumnElement[str] = literal_column(r"'\1'")
_EVERY: ColumnElement[str] = literal_column("'g'")

_COMPUTED: Mapping[str, ColumnElement[Any]] = {
    "alert_name": func.coalesce(_c.alert_name, _c.signal_name),
    # NULL as soon as one of the parts is.
    "target_resource": func.lower(_c.resource_kind).concat(_SLASH).concat(_c.resource_name),
    "metadata": func.regexp_replace(cast(_c.action_parameters, Text), _STRING_OR_BLANK, _STRING, _EVERY),
}


def _written(name: str) -> ColumnElement[Any]:
    if name in _COMPUTED:
        return _COMPUTED[name]
    column = _c[SHOWN[name].name]
    if isinstance(column.type, DateTime):
        return func.replace(func.to_char(func.timezone(_UTC, column), _RFC3339), _NO_FRACTION, _ZULU)
    if isinstance(column.type, Boolean):
        return func.coalesce(column, _FALSE)
    # A number in JSON has no trailing zeros.
    return cast(column, Double) if isinstance(column.type, Numeric) else column


MEMBERS: Mapping[View, Sequence[ColumnElement[Any]]] = {
    view: [_written(name).label(name) for name in names] for view, names in NAMES.items()
}
