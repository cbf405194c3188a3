"""Listing incidents, and reading one."""

from typing import NoReturn

import msgspec

from datastorage.incidents.blueprints import FILTER_PROBLEMS, INCIDENTS, READ_PROBLEMS
from datastorage.incidents.reading.model import Incident, IncidentPage, PageRequest
from datastorage.incidents.reading.parameters import IncidentIdPath, IncidentQuery
from datastorage.incidents.reading.service import IncidentService
from datastorage.incidents.representations import INCIDENT
from datastorage.platform.access.permissions import Permission
from datastorage.platform.web.current import current
from datastorage.platform.web.operations import Answer, operation


def _logged(page: IncidentPage) -> dict[str, object]:
    return {
        "result_count": len(page.data or page.incidents or ()),
        "limit": page.pagination.limit,
        "offset": page.pagination.offset,
    }


@INCIDENTS.get("")
@operation(
    Permission.READ,
    query=IncidentQuery,
    answers=(Answer(IncidentPage, 200, IncidentPage, "One page of incidents.", log=_logged),),
    problems=(*FILTER_PROBLEMS, "invalid-limit", "invalid-offset"),
)
def list_incidents(wanted: PageRequest) -> IncidentPage:
    """Find incidents by filters, newest first, a page at a time."""
    return current(IncidentService).find_page(wanted)


def _text(incident: Incident) -> msgspec.Raw:
    return msgspec.Raw(incident.text.encode("utf-8"))


@INCIDENTS.get("/<incident_id>")
@operation(
    Permission.READ,
    path=IncidentIdPath,
    answers=(Answer(Incident, 200, INCIDENT, "The incident.", body=_text),),
    problems=(*READ_PROBLEMS[1:], "invalid-id", "not-found"),
)
def get_incident(incident_id: int) -> Incident:
    """Read one incident in full."""
    return current(IncidentService).find(incident_id)


@INCIDENTS.get("/batch")
@operation(Permission.READ)
def get_batch() -> NoReturn:
    """Answer that "batch" is no id: clients may only post there, and reading is asking for an incident."""
    IncidentIdPath().read({"incident_id": "batch"})
    raise AssertionError("a word is never an id")
