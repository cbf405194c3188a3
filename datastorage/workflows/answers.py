"""What the workflow endpoints answer with; read by the API document only, never by the code that answers."""

from typing import Any, ClassVar

from marshmallow import Schema, fields

from datastorage.workflows.glossary import GLOSSARY
from datastorage.workflows.labels import PRIORITIES, SEVERITIES, STATUSES


def _one_of(*choices: str) -> fields.String:
    return fields.String(required=True, metadata={"enum": list(choices)})


class LabelsSchema(Schema):
    """The five mandatory labels."""

    signal_type = fields.String(required=True)
    severity = _one_of(*SEVERITIES)
    component = fields.String(required=True)
    environment = fields.String(required=True)
    priority = _one_of(*PRIORITIES, "*", "")


class WorkflowSchema(Schema):
    """One version of a workflow; members without a value are left out."""

    glossary = GLOSSARY

    workflow_id = fields.UUID(required=True)
    workflow_name = fields.String(required=True)
    version = fields.String(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    owner = fields.String()
    maintainer = fields.String()
    content = fields.String(required=True)
    content_hash = fields.String(required=True)
    parameters = fields.Dict()
    execution_engine = fields.String(required=True)
    container_image = fields.String()
    container_digest = fields.String()
    labels = fields.Nested(LabelsSchema, required=True)
    custom_labels = fields.Dict()
    detected_labels = fields.Dict(required=True)
    status = _one_of(*STATUSES)
    status_reason = fields.String()
    disabled_at = fields.DateTime()
    disabled_by = fields.String()
    disabled_reason = fields.String()
    is_latest_version = fields.Boolean(required=True)
    previous_version = fields.String()
    deprecation_notice = fields.String()
    version_notes = fields.String()
    change_summary = fields.String()
    approved_by = fields.String()
    approved_at = fields.DateTime()
    expected_success_rate = fields.Float()
    expected_duration_seconds = fields.Integer()
    actual_success_rate = fields.Float()
    total_executions = fields.Integer(required=True)
    successful_executions = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)
    created_by = fields.String()
    updated_by = fields.String()


class WorkflowPageSchema(Schema):
    """One page of workflows, newest first."""

    workflows = fields.List(fields.Nested(WorkflowSchema), required=True)
    limit = fields.Integer(required=True)
    offset = fields.Integer(required=True)
    total = fields.Integer(required=True)


class VersionListSchema(Schema):
    """Every version of one name, newest first."""

    workflow_name = fields.String(required=True)
    versions = fields.List(fields.Nested(WorkflowSchema), required=True)
    total = fields.Integer(required=True)


class ExplainedSchema(Schema):
    """What one searched label did to a score."""

    glossary: ClassVar[dict[str, str]] = {
        "points": "Ten points make a final score of 1.0; penalties are negative.",
    }

    label = fields.String(required=True)
    part = _one_of("mandatory", "detected", "custom", "penalty")
    searched = fields.Raw(required=True, allow_none=True)
    declared = fields.Raw(required=True, allow_none=True)
    match = _one_of("exact", "wildcard", "none", "capped")
    points = fields.Float(required=True)


class ReasonSchema(Schema):
    """One thing that kept a workflow out of the result."""

    label = fields.String(required=True)
    searched = fields.Raw(required=True)
    declared = fields.Raw(required=True)


class RejectedSchema(Schema):
    """A workflow that came close to being found."""

    workflow_id = fields.UUID(required=True)
    workflow_name = fields.String(required=True)
    version = fields.String(required=True)
    title = fields.String(required=True)
    final_score = fields.Float(required=True)
    reasons = fields.List(fields.Nested(ReasonSchema), required=True)


class SearchResultSchema(Schema):
    """One workflow that was found."""

    glossary: ClassVar[dict[str, str]] = {
        "confidence": "Equal to `final_score`.",
        "label_boost": "Detected and custom boost together, at most 0.39 here; the score uses all of it.",
        "explanation": "With `explain` only: what each searched label contributed.",
    }

    workflow_id = fields.UUID(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    signal_type = fields.String(required=True)
    container_image = fields.String()
    container_digest = fields.String()
    confidence = fields.Float(required=True)
    final_score = fields.Float(required=True)
    label_boost = fields.Float(required=True)
    label_penalty = fields.Float(required=True)
    mandatory_match_score = fields.Float(required=True)
    detected_label_boost = fields.Float(required=True)
    custom_label_boost = fields.Float(required=True)
    rank = fields.Integer(required=True)
    custom_labels = fields.Dict()
    detected_labels = fields.Dict(required=True)
    explanation = fields.List(fields.Nested(ExplainedSchema))


class SearchedFiltersSchema(LabelsSchema):
    """The filters of a search, normalised."""

    custom_labels = fields.Dict()
    detected_labels = fields.Dict(required=True)
    status = fields.List(_one_of(*STATUSES))


class SearchAnswerSchema(Schema):
    """Workflows in rank order; none is an empty list."""

    glossary: ClassVar[dict[str, Any]] = {
        "total_results": "Workflows that match and reach `min_score`, before `top_k` cuts.",
        "rejected": "With `explain` only: the workflows that came closest, and what kept each out.",
    }

    workflows = fields.List(fields.Nested(SearchResultSchema), required=True)
    total_results = fields.Integer(required=True)
    filters = fields.Nested(SearchedFiltersSchema, required=True)
    rejected = fields.List(fields.Nested(RejectedSchema))
