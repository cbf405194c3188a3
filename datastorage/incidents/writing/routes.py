"""Recording incidents and how they ended."""

import msgspec

from datastorage.incidents.blueprints import INCIDENTS
from datastorage.incidents.reading.parameters import IncidentIdPath
from datastorage.incidents.representations import INCIDENT
from datastorage.incidents.writing.model import (
    BatchCreated,
    BatchKnown,
    BatchResult,
    Changed,
    NewIncident,
    Outcome,
    Stored,
)
from datastorage.incidents.writing.schemas import IncidentBatch, NewIncidentSchema, OutcomeSchema
from datastorage.incidents.writing.service import IncidentWriteService
from datastorage.platform.access.permissions import Permission
from datastorage.platform.web.current import current
from datastorage.platform.web.operations import Answer, operation

WRITE_PROBLEMS = (
    "validation-error",
    "conflict",
    "deadlock",
    "transaction-conflict",
    "service-unavailable",
    "query-timeout",
)


def _text(incident: Stored | Changed) -> msgspec.Raw:
    return msgspec.Raw(incident.text.encode("utf-8"))


def _location(stored: Stored) -> dict[str, str]:
    return {"Location": f"{INCIDENTS.url_prefix}/{stored.incident_id}"}


@INCIDENTS.post("")
@operation(
    Permission.WRITE,
    body=NewIncidentSchema,
    answers=(
        Answer(
            Stored,
            201,
            INCIDENT,
            "The incident as it is stored.",
            body=_text,
            headers=_location,
            announces=("Location",),
        ),
    ),
    problems=WRITE_PROBLEMS,
)
def create_incident(incident: NewIncident) -> Stored:
    """Write one incident.

    Sent again, because the answer was lost, it is a `conflict` with the `existing_id`: then it is stored.
    """
    return current(IncidentWriteService).create(incident)


@INCIDENTS.post("/batch")
@operation(
    Permission.WRITE,
    body=IncidentBatch,
    answers=(
        Answer(BatchCreated, 201, BatchResult, "At least one incident is new."),
        Answer(BatchKnown, 200, BatchResult, "Every incident was stored before."),
    ),
    problems=(*WRITE_PROBLEMS, "batch-size-exceeded"),
)
def create_incidents(incidents: list[NewIncident]) -> BatchCreated | BatchKnown:
    """Write a batch of incidents, all or none; those stored before are skipped."""
    return current(IncidentWriteService).create_all(incidents)


@INCIDENTS.patch("/<incident_id>")
@operation(
    Permission.WRITE,
    path=IncidentIdPath,
    body=OutcomeSchema,
    answers=(Answer(Changed, 200, INCIDENT, "The incident as it is now.", body=_text),),
    problems=(*WRITE_PROBLEMS, "invalid-id", "not-found", "immutable-field-violation"),
)
def change_incident(incident_id: int, outcome: Outcome) -> Changed:
    """Record how an action went on."""
    return current(IncidentWriteService).change(incident_id, outcome)
