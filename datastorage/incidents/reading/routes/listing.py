"""Listing incidents, and reading one."""

from typing import Any, NoReturn

import msgspec

from datastorage.incidents.answers import IncidentPageSchema, IncidentSchema
from datastorage.incidents.blueprints import FILTER_PROBLEMS, INCIDENTS, READ_PROBLEMS
from datastorage.incidents.reading.model import Envelope, Incident, IncidentPage, PageRequest
from datastorage.incidents.reading.parameters import IncidentIdPath, IncidentQuery
from datastorage.incidents.reading.service import IncidentService
from datastorage.platform.web.contract import Answer, accepts_path, accepts_query, returns
from datastorage.platform.web.current import current


def _envelope(page: IncidentPage) -> dict[str, Any]:
    """Name the rows as wanted; under both names they are the same bytes, written twice."""
    names = {
        Envelope.BOTH: ("data", "incidents"),
        Envelope.DATA: ("data",),
        Envelope.INCIDENTS: ("incidents",),
    }
    rows = msgspec.Raw(page.rows)
    members: dict[str, Any] = dict.fromkeys(names[page.envelope], rows)
    return members | {"total": page.pagination.total, "pagination": page.pagination}


def _logged(page: IncidentPage) -> dict[str, object]:
    return {
        "result_count": page.count,
        "limit": page.pagination.limit,
        "offset": page.pagination.offset,
    }


@INCIDENTS.get("")
@returns(
    Answer(IncidentPage, 200, IncidentPageSchema, "One page of incidents.", body=_envelope, log=_logged),
    problems=(*FILTER_PROBLEMS, "invalid-limit", "invalid-offset"),
)
@accepts_query(IncidentQuery)
def list_incidents(wanted: PageRequest) -> IncidentPage:
    """Find incidents by filters, newest first, a page at a time."""
    return current(IncidentService).find_page(wanted)


def _text(incident: Incident) -> msgspec.Raw:
    return msgspec.Raw(incident.text.encode("utf-8"))


@INCIDENTS.get("/<incident_id>")
@returns(
    Answer(Incident, 200, IncidentSchema, "The incident.", body=_text),
    problems=(*READ_PROBLEMS[1:], "invalid-id", "not-found"),
)
@accepts_path(IncidentIdPath)
def get_incident(incident_id: int) -> Incident:
    """Read one incident in full."""
    return current(IncidentService).find(incident_id)


@INCIDENTS.get("/batch")
def get_batch() -> NoReturn:
    """Answer that "batch" is no id: clients may only post there, and reading is asking for an incident."""
    current(IncidentIdPath).read({"incident_id": "batch"})
    raise AssertionError("a word is never an id")
