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
from datastorage.incidents.blueprints import READ_PROBLEMS, SUCCESS_RATES
from datastorage.platform.access.permissions import Permission
from datastorage.platform.web.current import current
from datastorage.platform.web.operations import Answer, operation

RATE_PROBLEMS = (*READ_PROBLEMS, "validation-error")


@SUCCESS_RATES.get("/incident-type")
@operation(
    Permission.READ,
    query=IncidentTypeRateQuery,
    answers=(Answer(IncidentTypeRate, 200, IncidentTypeRate, "The rate."),),
    problems=RATE_PROBLEMS,
)
def get_rate_of_incident_type(wanted: RateRequest) -> IncidentTypeRate:
    """Tell how often incidents of one type were remediated, and by which workflows."""
    return current(AggregateService).rate_of_incident_type(wanted)


@SUCCESS_RATES.get("/workflow")
@operation(
    Permission.READ,
    query=WorkflowRateQuery,
    answers=(Answer(WorkflowRate, 200, WorkflowRate, "The rate."),),
    problems=RATE_PROBLEMS,
)
def get_rate_of_workflow(wanted: RateRequest) -> WorkflowRate:
    """Tell how often a workflow succeeded, and at which types of incidents."""
    return current(AggregateService).rate_of_workflow(wanted)


@SUCCESS_RATES.get("/multi-dimensional")
@operation(
    Permission.READ,
    query=MultiDimensionalRateQuery,
    answers=(Answer(MultiDimensionalRate, 200, MultiDimensionalRate, "The rate."),),
    problems=RATE_PROBLEMS,
)
def get_rate_by_dimensions(wanted: RateRequest) -> MultiDimensionalRate:
    """Tell how often actions succeeded that share every given dimension."""
    return current(AggregateService).rate_by_dimensions(wanted)
