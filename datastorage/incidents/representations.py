"""How answers show incidents: as a summary or in full. Names, types and meanings come from ``Trace``."""

from dataclasses import replace
from enum import StrEnum

from datastorage.incidents.fields import Items
from datastorage.incidents.trace import SHOWN
from datastorage.platform.records import Member, Shown
from datastorage.platform.web.shapes import RowShape


class View(StrEnum):
    """How much of an incident is shown."""

    SUMMARY = "summary"
    FULL = "full"


COMPUTED = {
    "alert_name": Member(SHOWN["alert_name"].meaning, type=str),
    "target_resource": Member(
        "Kind in lower case and name of the resource, as `deployment/web`.", type=str, is_optional=True
    ),
    "metadata": Member("`action_parameters` as compact JSON text.", type=str, is_optional=True),
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

NAMES = {View.SUMMARY: SUMMARY, View.FULL: FULL}


def _shown(name: str) -> Member:
    if name in COMPUTED:
        return replace(COMPUTED[name], wire=name)
    member = SHOWN[name]
    is_null = member.is_optional if member.nullable is None else member.nullable
    # NULL is shown as false.
    shown = replace(member, wire=name, is_optional=is_null and member.type is not bool)
    if not member.is_document:
        return shown
    return replace(shown, column=None, type=list if isinstance(member.judge, Items) else dict)


INCIDENT = RowShape("Incident", "One incident in full.", tuple(_shown(name) for name in FULL))
LISTED = RowShape(
    "ListedIncident",
    "One incident as lists and exports show it: with `view=full` in full, else its summary.",
    tuple(
        each if each.wire in SUMMARY else replace(each, shown=Shown.WHEN_SET, type=each.type | None)
        for each in INCIDENT.members
    ),
)
