"""What a trace is, the row behind an incident, declared once.

Columns, the fields of requests, what lists and single incidents show, and the API document follow from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Annotated, Any, cast

import msgspec
from sqlalchemy import BigInteger, Boolean, Integer, Numeric, String, Text, func

from datastorage.incidents.enumerations import EXECUTION_STATUSES, INCIDENT_SEVERITIES, SEVERITIES
from datastorage.incidents.fields import ActionInstant, Document, Exact, Fraction, Items, Listed
from datastorage.platform.db.columns import JSON_DOCUMENT, TIMESTAMPTZ
from datastorage.platform.records import Member, in_order, members_of
from datastorage.platform.web import fields
from datastorage.platform.web.characters import FREE_TEXT

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1
LONG_TEXT = 65536
SIGNAL_NAME_CHARACTERS = 200
SHARE = Numeric(4, 3)
"""A number from 0 to 1 with three decimals."""


@dataclass(frozen=True, slots=True)
class TraceMember(Member):
    """One member: a column, what requests may say of it, and the names under which answers show it.

    Attributes:
        shown_as: names in answers; the name in requests when empty.
        changes: whether a change may have it.
        is_later: whether only a change may have it, not a new incident.
    """

    shown_as: tuple[str, ...] = field(default=(), kw_only=True)
    changes: bool = field(default=False, kw_only=True)
    is_later: bool = field(default=False, kw_only=True)


def _text(meaning: str, maximum: int, *, required: bool = False, **parts: Any) -> TraceMember:
    return TraceMember(meaning, String(maximum), Exact(maximum=maximum, required=required), **parts)


def _long_text(meaning: str, **parts: Any) -> TraceMember:
    judge = Exact(minimum=0, maximum=LONG_TEXT, characters=FREE_TEXT)
    return TraceMember(meaning, Text(), judge, **parts)


def _listed(meaning: str, choices: tuple[str, ...], *, required: bool = False, **parts: Any) -> TraceMember:
    return TraceMember(meaning, String(20), Listed(choices, required=required), **parts)


def _time(meaning: str, **parts: Any) -> TraceMember:
    return TraceMember(meaning, TIMESTAMPTZ, fields.Instant(), **parts)


def _number(meaning: str, minimum: int, maximum: int = INT32_MAX, **parts: Any) -> TraceMember:
    column = Integer() if maximum == INT32_MAX else BigInteger()
    return TraceMember(meaning, column, fields.Integer(minimum=minimum, maximum=maximum), **parts)


def _share(meaning: str, *, required: bool = False, **parts: Any) -> TraceMember:
    return TraceMember(meaning, SHARE, Fraction(required=required), **parts)


def _flag(meaning: str) -> TraceMember:
    return TraceMember(
        meaning, Boolean(), fields.Boolean(), default=False, nullable=True, server_default="false"
    )


def _object(meaning: str, **parts: Any) -> TraceMember:
    return TraceMember(meaning, JSON_DOCUMENT, Document(), **parts)


def _array(meaning: str, **parts: Any) -> TraceMember:
    return TraceMember(meaning, JSON_DOCUMENT, Items(), **parts)


def _stamp(meaning: str) -> TraceMember:
    return TraceMember(meaning, TIMESTAMPTZ, nullable=False, server_default=func.now())


def _named(*names: str) -> dict[str, Any]:
    """Say that answers show a member under every name that requests may have."""
    return {"aliases": names[1:], "shown_as": names}


def _short(name: str) -> dict[str, Any]:
    """Say that answers have a shorter name, which requests may have too; a change may have the member."""
    return {"aliases": (name,), "shown_as": (name,), "changes": True}


_LATER: dict[str, Any] = {"changes": True, "is_later": True}


class Trace(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False, omit_defaults=True):
    """One normalised trace: every default applied, ready to be stored as it is.

    Objects and arrays are compact JSON text. What the service or PostgreSQL sets is ``None`` before it is
    stored. Columns from ``namespace`` on are additions to the inherited table; a trigger fills them from the
    parents for producers that do not know them.
    """

    id: Annotated[int | None, TraceMember("Number of the incident.", BigInteger(), nullable=False)] = None
    action_history_id: Annotated[
        int | None,
        _number("History of the resource, instead of the resource.", 1, INT64_MAX, nullable=False),
    ] = None
    action_id: Annotated[str, _text("Producer's id of the action.", 64, required=True)]
    correlation_id: Annotated[
        str | None,
        _text(
            "Remediation that the action belongs to.",
            64,
            **_named("correlation_id", "remediation_request_id"),
        ),
    ] = None
    action_timestamp: Annotated[
        datetime, TraceMember("When it was done.", TIMESTAMPTZ, ActionInstant(required=True))
    ]
    execution_start_time: Annotated[datetime | None, _time("When it began.", **_short("start_time"))] = None
    execution_end_time: Annotated[datetime | None, _time("When it ended.", **_short("end_time"))] = None
    execution_duration_ms: Annotated[
        int | None, _number("In milliseconds; from start to end when absent.", 0, **_short("duration"))
    ] = None
    signal_name: Annotated[
        str,
        _text(
            "Name of the signal, or of the alert where the signal has none.",
            SIGNAL_NAME_CHARACTERS,
            default=itemgetter("alert_name"),
        ),
    ]
    signal_severity: Annotated[
        str,
        _listed(
            "Severity of the signal.",
            SEVERITIES,
            required=True,
            wire="severity",
            **_named("severity", "signal_severity", "alert_severity"),
        ),
    ]
    signal_labels: Annotated[str | None, _object("Labels of the signal.")] = None
    signal_annotations: Annotated[str | None, _object("Annotations of the signal.")] = None
    signal_firing_time: Annotated[datetime | None, _time("Since when the signal fired.")] = None
    model_used: Annotated[str, _text("The model that chose the action.", 100, required=True)]
    routing_tier: Annotated[str | None, _text("Tier that the signal was routed to.", 20)] = None
    model_confidence: Annotated[float, _share("How sure the model was, with three decimals.", required=True)]
    model_reasoning: Annotated[str | None, _long_text("Why the model chose it.")] = None
    alternative_actions: Annotated[str | None, _array("Actions that were not chosen.")] = None
    action_type: Annotated[str, _text("Type of the action.", 50, required=True)]
    action_parameters: Annotated[str | None, _object("Parameters of the action.")] = None
    resource_state_before: Annotated[str | None, _object("The resource before it.")] = None
    resource_state_after: Annotated[str | None, _object("The resource after it.", changes=True)] = None
    execution_status: Annotated[
        str,
        _listed(
            "State of the action, `pending` at first.",
            EXECUTION_STATUSES,
            default="pending",
            server_default="pending",
            aliases=("status",),
            changes=True,
        ),
    ]
    execution_error: Annotated[str | None, _long_text("Why it failed.", **_short("error_message"))] = None
    kubernetes_operations: Annotated[str | None, _array("Requests to Kubernetes.", changes=True)] = None
    effectiveness_score: Annotated[float | None, _share("How much it helped.", changes=True)] = None
    effectiveness_criteria: Annotated[str | None, _object("Criteria of the score.", changes=True)] = None
    effectiveness_assessed_at: Annotated[datetime | None, _time("When that was assessed.", **_LATER)] = None
    effectiveness_assessment_method: Annotated[str | None, _text("How that was done.", 20, **_LATER)] = None
    effectiveness_notes: Annotated[str | None, _long_text("Notes on the assessment.", changes=True)] = None
    effectiveness_assessment_due: Annotated[datetime | None, _time("When it is due.", **_LATER)] = None
    follow_up_actions: Annotated[str | None, _array("What is to be done next.", changes=True)] = None
    created_at: Annotated[datetime | None, _stamp("When the incident was stored.")] = None
    updated_at: Annotated[datetime | None, _stamp("When it was changed last.")] = None
    incident_type: Annotated[str | None, _text("Type of the incident.", 100)] = None
    alert_name: Annotated[
        str | None, _text("Name of the alert; answers show that of the signal where there is none.", 255)
    ] = None
    incident_severity: Annotated[str | None, _listed("Severity of the incident.", INCIDENT_SEVERITIES)] = None
    workflow_id: Annotated[str | None, _text("Workflow that acted.", 64)] = None
    workflow_version: Annotated[str | None, _text("Its version; only together with it.", 20)] = None
    workflow_step_number: Annotated[int | None, _number("Which step of it this was.", 1)] = None
    workflow_execution_id: Annotated[str | None, _text("Which run of it this was.", 64)] = None
    ai_selected_workflow: Annotated[bool, _flag("Whether a model chose the workflow.")]
    ai_chained_workflows: Annotated[bool, _flag("Whether a model chained several workflows.")]
    ai_manual_escalation: Annotated[bool, _flag("Whether a model called for a person.")]
    ai_workflow_customization: Annotated[str | None, _object("What the model changed of it.")] = None
    namespace: Annotated[
        str | None, _text("Namespace of the resource.", 63, aliases=("resource_namespace",))
    ] = None
    cluster_name: Annotated[str | None, _text("Cluster of the resource.", 255, aliases=("cluster",))] = None
    environment: Annotated[str | None, _text("Environment of the resource.", 100)] = None
    signal_fingerprint: Annotated[
        str | None,
        _text(
            "Fingerprint of the signal.",
            64,
            aliases=("alert_fingerprint",),
            shown_as=("alert_fingerprint", "signal_fingerprint"),
        ),
    ] = None
    resource_kind: Annotated[str | None, _text("Kind of the resource.", 100, aliases=("resource_type",))] = (
        None
    )
    resource_name: Annotated[str | None, _text("Name of the resource.", 253)] = None


MEMBERS = cast("tuple[TraceMember, ...]", members_of(Trace))

NEW_MEMBERS = in_order(
    (each for each in MEMBERS if each.judge is not None and not each.is_later),
    (
        "action_id", "action_type", "action_timestamp", "signal_name", "alert_name", "severity", "model_used",
        "model_confidence", "execution_status", "resource_kind", "resource_name", "action_history_id",
    ),
)  # fmt: skip
"""What a new incident may have, in the order in which faults are reported."""

OUTCOME_MEMBERS = in_order((each for each in MEMBERS if each.changes), ("execution_status",))
"""What a change may have, likewise."""

SHOWN: Mapping[str, TraceMember] = {name: each for each in MEMBERS for name in each.shown_as or (each.wire,)}
"""What answers show, by the name there."""
