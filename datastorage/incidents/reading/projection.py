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
    Integer,
    Numeric,
    String,
    Text,
    cast,
    func,
    literal_column,
)
from sqlalchemy.dialects.postgresql import JSONB

from datastorage.incidents.fields import Items
from datastorage.incidents.reading.model import View
from datastorage.incidents.tables import resource_action_traces
from datastorage.incidents.trace import SHOWN, TraceMember

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

COMPUTED: Mapping[str, ColumnElement[Any]] = {
    "alert_name": func.coalesce(_c.alert_name, _c.signal_name),
    # NULL as soon as one of the parts is.
    "target_resource": func.lower(_c.resource_kind).concat(_SLASH).concat(_c.resource_name),
    "metadata": func.regexp_replace(cast(_c.action_parameters, Text), _STRING_OR_BLANK, _STRING, _EVERY),
}
"""Members that show more than one column, or one in another form."""

SUMMARY = (
    "id", "action_history_id", "action_id", "correlation_id", "remediation_request_id", "signal_name",
    "alert_name", "severity", "signal_severity", "alert_severity", "alert_fingerprint", "signal_fingerprint",
    "incident_type", "incident_severity", "namespace", "cluster_name", "environment", "resource_kind",
    "resource_name", "target_resource", "action_type", "action_timestamp", "model_used", "model_confidence",
    "execution_status", "start_time", "end_time", "duration", "error_message", "effectiveness_score",
    "workflow_id", "workflow_version", "workflow_execution_id", "workflow_step_number",
    "ai_selected_workflow", "ai_chained_workflows", "ai_manual_escalation", "created_at", "updated_at",
)  # fmt: skip
"""What lists show, in this order."""
FULL = tuple(dict.fromkeys([*SUMMARY, *SHOWN, *COMPUTED]))
"""What one incident shows: the summary, then all the rest."""


def _written(name: str) -> ColumnElement[Any]:
    if name in COMPUTED:
        return COMPUTED[name]
    column = _c[SHOWN[name].name]
    if isinstance(column.type, DateTime):
        return func.replace(func.to_char(func.timezone(_UTC, column), _RFC3339), _NO_FRACTION, _ZULU)
    if isinstance(column.type, Boolean):
        return func.coalesce(column, _FALSE)
    # A number in JSON has no trailing zeros.
    return cast(column, Double) if isinstance(column.type, Numeric) else column


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a member of an answer."""
    if name in _COMPUTED_SCHEMAS:
        return _COMPUTED_SCHEMAS[name]
    member = SHOWN[name]
    column = _c[member.name]
    schema = _type_of(member) | {"description": member.meaning}
    if column.nullable and not isinstance(column.type, Boolean):
        schema["type"] = [schema["type"], "null"]
    return schema


def _type_of(member: TraceMember) -> dict[str, Any]:
    if isinstance(member.judge, Items):
        return {"type": "array", "items": {}}
    return dict(next(schema for kind, schema in _SCHEMAS if isinstance(member.column, kind)))


_SCHEMAS: tuple[tuple[type, dict[str, Any]], ...] = (
    (String, {"type": "string"}),
    (DateTime, {"type": "string", "format": "date-time"}),
    (Boolean, {"type": "boolean"}),
    (Integer, {"type": "integer"}),
    (Numeric, {"type": "number"}),
    (JSONB, {"type": "object", "additionalProperties": {}}),
)
_COMPUTED_SCHEMAS: Mapping[str, dict[str, Any]] = {
    "alert_name": {"type": "string", "description": SHOWN["alert_name"].meaning},
    "target_resource": {
        "type": ["string", "null"],
        "description": "Kind in lower case and name of the resource, as `deployment/web`.",
    },
    "metadata": {
        "type": ["string", "null"],
        "description": "`action_parameters` as compact JSON text.",
    },
}

MEMBERS: Mapping[View, Sequence[ColumnElement[Any]]] = {
    view: [_written(name).label(name) for name in names]
    for view, names in ((View.SUMMARY, SUMMARY), (View.FULL, FULL))
}
