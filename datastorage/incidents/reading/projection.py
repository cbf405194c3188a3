"""Incidents as PostgreSQL writes them: one JSON text per row, so that no row is taken apart in Python.

Every member of a representation is always there. Numbers are JSON numbers, times RFC 3339 in UTC with six
fractional digits or none, jsonb columns JSON values.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Double, Text, cast, func, literal_column

from datastorage.incidents.reading.model import View
from datastorage.incidents.tables import resource_action_traces

_c = resource_action_traces.c

_UTC: ColumnElement[str] = literal_column("'UTC'")
_RFC3339: ColumnElement[str] = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'""")
_NO_FRACTION: ColumnElement[str] = literal_column("'.000000Z'")
_ZULU: ColumnElement[str] = literal_column("'Z'")
_FALSE: ColumnElement[bool] = literal_column("false")

# Outside strings the only blanks of jsonb's text are separators; a string is matched as a whole and kept.
_STRING_OR_BLANK = r'("(?:[^"\\]|\\.)*")|\s+'


def _time(column: ColumnElement[Any]) -> ColumnElement[Any]:
    written = func.to_char(func.timezone(_UTC, column), _RFC3339)
    return func.replace(written, _NO_FRACTION, _ZULU)


def _number(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(column, Double)


def _flag(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(column, _FALSE)


def _compact(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.regexp_replace(cast(column, Text), _STRING_OR_BLANK, r"\1", "g")


SUMMARY: Mapping[str, ColumnElement[Any]] = {
    "id": _c.id,
    "action_history_id": _c.action_history_id,
    "action_id": _c.action_id,
    "correlation_id": _c.correlation_id,
    "remediation_request_id": _c.correlation_id,
    "signal_name": _c.signal_name,
    "alert_name": func.coalesce(_c.alert_name, _c.signal_name),
    "severity": _c.signal_severity,
    "signal_severity": _c.signal_severity,
    "alert_severity": _c.signal_severity,
    "alert_fingerprint": _c.signal_fingerprint,
    "signal_fingerprint": _c.signal_fingerprint,
    "incident_type": _c.incident_type,
    "incident_severity": _c.incident_severity,
    "namespace": _c.namespace,
    "cluster_name": _c.cluster_name,
    "environment": _c.environment,
    "resource_kind": _c.resource_kind,
    "resource_name": _c.resource_name,
    # NULL as soon as one of the parts is.
    "target_resource": func.lower(_c.resource_kind).concat("/").concat(_c.resource_name),
    "action_type": _c.action_type,
    "action_timestamp": _time(_c.action_timestamp),
    "model_used": _c.model_used,
    "model_confidence": _number(_c.model_confidence),
    "execution_status": _c.execution_status,
    "start_time": _time(_c.execution_start_time),
    "end_time": _time(_c.execution_end_time),
    "duration": _c.execution_duration_ms,
    "error_message": _c.execution_error,
    "effectiveness_score": _number(_c.effectiveness_score),
    "workflow_id": _c.workflow_id,
    "workflow_version": _c.workflow_version,
    "workflow_execution_id": _c.workflow_execution_id,
    "workflow_step_number": _c.workflow_step_number,
    "ai_selected_workflow": _flag(_c.ai_selected_workflow),
    "ai_chained_workflows": _flag(_c.ai_chained_workflows),
    "ai_manual_escalation": _flag(_c.ai_manual_escalation),
    "created_at": _time(_c.created_at),
    "updated_at": _time(_c.updated_at),
}
"""What lists show, by the name of the member."""

FULL: Mapping[str, ColumnElement[Any]] = {
    **SUMMARY,
    "signal_labels": _c.signal_labels,
    "signal_annotations": _c.signal_annotations,
    "signal_firing_time": _time(_c.signal_firing_time),
    "routing_tier": _c.routing_tier,
    "model_reasoning": _c.model_reasoning,
    "alternative_actions": _c.alternative_actions,
    "action_parameters": _c.action_parameters,
    "metadata": _compact(_c.action_parameters),
    "resource_state_before": _c.resource_state_before,
    "resource_state_after": _c.resource_state_after,
    "kubernetes_operations": _c.kubernetes_operations,
    "effectiveness_criteria": _c.effectiveness_criteria,
    "effectiveness_assessed_at": _time(_c.effectiveness_assessed_at),
    "effectiveness_assessment_method": _c.effectiveness_assessment_method,
    "effectiveness_notes": _c.effectiveness_notes,
    "effectiveness_assessment_due": _time(_c.effectiveness_assessment_due),
    "follow_up_actions": _c.follow_up_actions,
    "ai_workflow_customization": _c.ai_workflow_customization,
}
"""What one incident shows beyond that."""

MEMBERS: Mapping[View, Mapping[str, ColumnElement[Any]]] = {View.SUMMARY: SUMMARY, View.FULL: FULL}
