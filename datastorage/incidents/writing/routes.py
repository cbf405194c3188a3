"""Recording incidents and how they ended."""

import msgspec

from datastorage.incidents.answers import BatchResultSchema, IncidentSchema
from datastorage.incidents.blueprints import INCIDENTS
from datastorage.incidents.reading.parameters import IncidentIdPath
from datastorage.incidents.writing.model import (
    BatchCreated,
    BatchKnown,
    Changed,
    NewIncident,
    Outcome,
    Stored,
)
from datastorage.incidents.writing.schemas import IncidentBatch, NewIncidentSchema, OutcomeSchema
from datastorage.incidents.writing.service import IncidentWriteService
from datastorage.platform.web.contract import Answer, accepts, accepts_path, returns
from datastorage.platform.web.current import current

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
@returns(
    Answer(
        Stored,
        201,
        IncidentSchema,
        "The incident as it is stored.",
        body=_text,
        headers=_location,
        announces=("Location",),
    ),
    problems=WRITE_PROBLEMS,
)
@accepts(NewIncidentSchema)
def create_incident(incident: NewIncident) -> Stored:
    """Write one incident.

    Sent again, because the answer was lost, it is a `conflict` with the `existing_id`: then it is stored.
    """
    return current(IncidentWriteService).create(incident)


@INCIDENTS.post("/batch")
@returns(
    Answer(BatchCreated, 201, BatchResultSchema, "At least one incident is new."),
    Answer(BatchKnown, 200, BatchResultSchema, "Every incident was stored before."),
    problems=(*WRITE_PROBLEMS, "batch-size-exceeded"),
)
@accepts(IncidentBatch)
def create_incidents(incidents: list[NewIncident]) -> BatchCreated | BatchKnown:
    """Write a batch of incidents, all or none; those stored before are skipped."""
    return current(IncidentWriteService).create_all(incidents)


@INCIDENTS.patch("/<incident_id>")
@returns(
    Answer(Changed, 200, IncidentSchema, "The incident as it is now.", body=_text),
    problems=(*WRITE_PROBLEMS, "invalid-id", "not-found", "immutable-field-violation"),
)
@accepts_path(IncidentIdPath)
@accepts(OutcomeSchema)
def change_incident(incident_id: int, outcome: Outcome) -> Changed:
    """Record how an action went on."""
    return current(IncidentWriteService).change(incident_id, outcome)
