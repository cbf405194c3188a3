"""How often remediations succeed: by type of incident, by workflow, and by several dimensions at once."""

from datastorage.incidents.aggregates.model import (
    IncidentTypeRate,
    MultiDimensionalRate,
    RateRequest,
    WorkflowRate,
)
from datastorage.incidents.aggregates.parameters import (
    IncidentTypeRateQuery,
    MultiDimensionalRateQuery,
    WorkflowRateQuery,
)
from datastorage.incidents.aggregates.service import AggregateService
from datastorage.incidents.answers import (
    IncidentTypeRateSchema,
    MultiDimensionalRateSchema,
    WorkflowRateSchema,
)
from datastorage.incidents.blueprints import READ_PROBLEMS, SUCCESS_RATES
from datastorage.platform.web.contract import Answer, accepts_query, returns
from datastorage.platform.web.current import current

RATE_PROBLEMS = (*READ_PROBLEMS, "validation-error")


@SUCCESS_RATES.get("/incident-type")
@returns(Answer(IncidentTypeRate, 200, IncidentTypeRateSchema, "The rate."), problems=RATE_PROBLEMS)
@accepts_query(IncidentTypeRateQuery)
def get_rate_of_incident_type(wanted: RateRequest) -> IncidentTypeRate:
    """Tell how often incidents of one type were remediated, and by which workflows."""
    return current(AggregateService).rate_of_incident_type(wanted)


@SUCCESS_RATES.get("/workflow")
@returns(Answer(WorkflowRate, 200, WorkflowRateSchema, "The rate."), problems=RATE_PROBLEMS)
@accepts_query(WorkflowRateQuery)
def get_rate_of_workflow(wanted: RateRequest) -> WorkflowRate:
    """Tell how often a workflow succeeded, and at which types of incidents."""
    return current(AggregateService).rate_of_workflow(wanted)


@SUCCESS_RATES.get("/multi-dimensional")
@returns(Answer(MultiDimensionalRate, 200, MultiDimensionalRateSchema, "The rate."), problems=RATE_PROBLEMS)
@accepts_query(MultiDimensionalRateQuery)
def get_rate_by_dimensions(wanted: RateRequest) -> MultiDimensionalRate:
    """Tell how often actions succeeded that share every given dimension."""
    return current(AggregateService).rate_by_dimensions(wanted)
