"""What the incident endpoints answer with; read by the API document only, never by the code that answers."""

from typing import Any, ClassVar

from marshmallow import Schema, fields

PAGINATION = {
    "limit": "Most rows that were asked for.",
    "offset": "Rows skipped; 0 with a cursor.",
    "total": "All matches of the filters, wherever the page lies; `null` when not asked for.",
    "has_more": "Whether rows follow.",
    "next_cursor": "Send it as `cursor` for the next page; `null` when nothing follows.",
}


class IncidentPaginationSchema(Schema):
    """Where the page lies in the result."""

    glossary: ClassVar[dict[str, str]] = PAGINATION

    limit = fields.Integer(required=True)
    offset = fields.Integer(required=True)
    total = fields.Integer(required=True, allow_none=True)
    has_more = fields.Boolean(required=True)
    next_cursor = fields.String(required=True, allow_none=True)


def _text(*, nullable: bool = False) -> fields.String:
    return fields.String(required=True, allow_none=nullable)


def _time(*, nullable: bool = False) -> fields.DateTime:
    return fields.DateTime(required=True, allow_none=nullable)


def _integer(*, nullable: bool = False) -> fields.Integer:
    return fields.Integer(required=True, allow_none=nullable)


def _number(*, nullable: bool = False) -> fields.Float:
    return fields.Float(required=True, allow_none=nullable)


def _object() -> fields.Dict:
    return fields.Dict(required=True, allow_none=True)


def _array() -> fields.List[Any]:
    return fields.List(fields.Raw(), required=True, allow_none=True)


class IncidentSummarySchema(Schema):
    """What every view of an incident shows."""

    id = _integer()
    action_history_id = _integer()
    action_id = _text()
    correlation_id = _text(nullable=True)
    remediation_request_id = _text(nullable=True)
    signal_name = _text()
    alert_name = _text()
    severity = _text()
    signal_severity = _text()
    alert_severity = _text()
    alert_fingerprint = _text(nullable=True)
    signal_fingerprint = _text(nullable=True)
    incident_type = _text(nullable=True)
    incident_severity = _text(nullable=True)
    namespace = _text(nullable=True)
    cluster_name = _text(nullable=True)
    environment = _text(nullable=True)
    resource_kind = _text(nullable=True)
    resource_name = _text(nullable=True)
    target_resource = _text(nullable=True)
    action_type = _text()
    action_timestamp = _time()
    model_used = _text()
    model_confidence = _number()
    execution_status = _text()
    start_time = _time(nullable=True)
    end_time = _time(nullable=True)
    duration = _integer(nullable=True)
    error_message = _text(nullable=True)
    effectiveness_score = _number(nullable=True)
    workflow_id = _text(nullable=True)
    workflow_version = _text(nullable=True)
    workflow_execution_id = _text(nullable=True)
    workflow_step_number = _integer(nullable=True)
    ai_selected_workflow = fields.Boolean(required=True)
    ai_chained_workflows = fields.Boolean(required=True)
    ai_manual_escalation = fields.Boolean(required=True)
    created_at = _time()
    updated_at = _time()


class IncidentSchema(IncidentSummarySchema):
    """One incident in full."""

    signal_labels = _object()
    signal_annotations = _object()
    signal_firing_time = _time(nullable=True)
    routing_tier = _text(nullable=True)
    model_reasoning = _text(nullable=True)
    alternative_actions = _array()
    action_parameters = _object()
    metadata = _text(nullable=True)
    resource_state_before = _object()
    resource_state_after = _object()
    kubernetes_operations = _array()
    effectiveness_criteria = _object()
    effectiveness_assessed_at = _time(nullable=True)
    effectiveness_assessment_method = _text(nullable=True)
    effectiveness_notes = _text(nullable=True)
    effectiveness_assessment_due = _time(nullable=True)
    follow_up_actions = _array()
    ai_workflow_customization = _object()


class ListedIncidentSchema(IncidentSchema):
    """One incident as lists and exports show it: with `view=full` in full, else its summary."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name in self.fields.keys() - IncidentSummarySchema().fields.keys():
            self.fields[name].required = False


class IncidentPageSchema(Schema):
    """One page of incidents; `data` and `incidents` are the same rows."""

    data = fields.List(fields.Nested(ListedIncidentSchema))
    incidents = fields.List(fields.Nested(ListedIncidentSchema))
    total = _integer(nullable=True)
    pagination = fields.Nested(IncidentPaginationSchema, required=True)


class LegacyRateSchema(Schema):
    """How often one workflow succeeded; `success_rate` is a fraction."""

    workflow_id = _text()
    total_count = _integer()
    success_count = _integer()
    failure_count = _integer()
    success_rate = _number()


class NamespaceCountSchema(Schema):
    """Incidents of one namespace."""

    namespace = _text()
    count = _integer()
    success_count = _integer()
    failure_count = _integer()
    success_rate = _number()


class NamespaceCountsSchema(Schema):
    """Incidents by namespace, most first."""

    aggregations = fields.List(fields.Nested(NamespaceCountSchema), required=True)


class SeverityCountSchema(Schema):
    """Incidents of one severity."""

    severity = _text()
    count = _integer()


class SeverityCountsSchema(Schema):
    """Incidents by severity, worst first."""

    aggregations = fields.List(fields.Nested(SeverityCountSchema), required=True)


class DataPointSchema(Schema):
    """Incidents of one day in UTC."""

    date = fields.Date(required=True)
    count = _integer()


class TrendSchema(Schema):
    """Incidents by day, oldest first."""

    period = _text()
    data_points = fields.List(fields.Nested(DataPointSchema), required=True)


class ExecutionModeSchema(Schema):
    """How the actions came about; an action may count twice."""

    catalog_selected = _integer()
    chained = _integer()
    manual_escalation = _integer()


class _ShareSchema(Schema):
    executions = _integer()
    success_rate = _number()
    success_rate_percent = _number()


class WorkflowShareSchema(_ShareSchema):
    """What one version of a workflow contributes; `success_rate` is a fraction."""

    workflow_id = _text()
    workflow_version = _text()


class IncidentTypeShareSchema(_ShareSchema):
    """What one type of incident contributes; `success_rate` is a fraction."""

    incident_type = _text()


class _RateSchema(Schema):
    time_range = _text()
    total_executions = _integer()
    successful_executions = _integer()
    failed_executions = _integer()
    success_rate = _number()
    confidence = _text()
    min_samples_met = fields.Boolean(required=True)
    ai_execution_mode = fields.Nested(ExecutionModeSchema, required=True)


class IncidentTypeRateSchema(_RateSchema):
    """How often incidents of one type were remediated; `success_rate` is a percentage."""

    incident_type = _text()
    breakdown_by_workflow = fields.List(fields.Nested(WorkflowShareSchema), required=True)


class WorkflowRateSchema(_RateSchema):
    """How often one workflow succeeded; `success_rate` is a percentage."""

    workflow_id = _text()
    workflow_version = _text()
    breakdown_by_incident_type = fields.List(fields.Nested(IncidentTypeShareSchema), required=True)


class DimensionsSchema(Schema):
    """What a rate is about; an absent dimension is empty."""

    incident_type = _text()
    workflow_id = _text()
    workflow_version = _text()
    action_type = _text()


class MultiDimensionalRateSchema(_RateSchema):
    """How often actions succeeded that share every given dimension; `success_rate` is a percentage."""

    dimensions = fields.Nested(DimensionsSchema, required=True)


class ItemResultSchema(Schema):
    """What became of one item of a batch."""

    index = _integer()
    status = _text()
    id = _integer()
    action_id = _text()


class BatchResultSchema(Schema):
    """What became of a batch; a duplicate was stored before, or comes earlier in the batch."""

    created = _integer()
    duplicates = _integer()
    message = _text()
    results = fields.List(fields.Nested(ItemResultSchema), required=True)
