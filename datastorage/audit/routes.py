"""The audit endpoints: unpack, call, return."""

from typing import TypeVar
from uuid import UUID

from flask import Blueprint
from msgspec import Raw

from datastorage.audit.attribution import attributed
from datastorage.audit.event import AuditEvent
from datastorage.audit.export import EventExport
from datastorage.audit.model import (
    STORED,
    AlreadyRecorded,
    BatchParked,
    BatchRecorded,
    EventPage,
    ExportRequest,
    PageRequest,
    Parked,
    Recorded,
)
from datastorage.audit.parameters import AuditSearch, asks_for_lines
from datastorage.audit.reader import AuditReader
from datastorage.audit.schemas import AuditBatch, AuditEventSchema, EventIdPath
from datastorage.audit.service import AuditService
from datastorage.audit.waiting import APPLIED, LeafWaits
from datastorage.platform.access.caller import Caller
from datastorage.platform.access.permissions import Permission
from datastorage.platform.web.current import current
from datastorage.platform.web.lines import NDJSON, Lines
from datastorage.platform.web.links import Link
from datastorage.platform.web.operations import Answer, operation
from datastorage.platform.web.requests import Request

NEXT_CURSOR = "X-Next-Cursor"

blueprint = Blueprint("audit", __name__, url_prefix="/api/v1/audit")

READ_IT = Link("audit_get_event", {"event_id": "$response.body#/event_id"}, "The event as it was stored.")
RELATED = Link(
    "audit_find_events", {"correlation_id": "$request.body#/correlation_id"}, "All of the remediation."
)
RECORDED = (
    Answer(
        Recorded, 201, Recorded, "The event is committed.", announces=(APPLIED,), links=(READ_IT, RELATED)
    ),
    Answer(
        AlreadyRecorded,
        200,
        Recorded,
        "The identical event was committed before.",
        announces=(APPLIED,),
        links=(READ_IT,),
    ),
    Answer(Parked, 202, Parked, "The database cannot take it now; it is safe in the queue."),
)
READ_FIRST = Link("audit_get_event", {"event_id": "$response.body#/event_ids/0"}, "The first of the batch.")
BATCH_QUEUED = "The database cannot take it now; every event is safe in the queue."
BATCH_RECORDED = (
    Answer(
        BatchRecorded,
        201,
        BatchRecorded,
        "Every event of the batch is committed.",
        announces=(APPLIED,),
        links=(READ_FIRST,),
    ),
    Answer(BatchParked, 202, BatchParked, BATCH_QUEUED),
)
NEXT_PAGE = Link(
    "audit_find_events",
    {"cursor": "$response.body#/pagination/next_cursor"},
    "The next page, with the other parameters unchanged.",
)
Outcome = TypeVar("Outcome")

WRITE_PROBLEMS = ("validation-error", "conflict", "service-unavailable")
READ_PROBLEMS = ("validation-error", "deadlock", "service-unavailable", "query-timeout")


@blueprint.post("/events")
@operation(
    Permission.WRITE,
    body=AuditEventSchema,
    wants_caller=True,
    wants_request=True,
    answers=RECORDED,
    problems=WRITE_PROBLEMS,
)
def create_event(caller: Caller, request: Request, event: AuditEvent) -> Recorded | AlreadyRecorded | Parked:
    """Write one audit event.

    Sent again with the same `event_id` and content it is stored once. A person is the actor of what it
    sends: `actor_type` becomes `user` and `actor_id` its name; whom the body named instead is kept in
    `event_metadata.claimed_actor`. With `Prefer: wait=N` the answer waits up to N seconds for the event's
    proof, and says by `Preference-Applied` that it is there.
    """
    return _told(request, current(AuditService).record(attributed(event, caller.identity)))


@blueprint.post("/events/batch")
@operation(
    Permission.WRITE,
    body=AuditBatch,
    wants_caller=True,
    wants_request=True,
    answers=BATCH_RECORDED,
    problems=(*WRITE_PROBLEMS, "batch-size-exceeded"),
)
def create_events(caller: Caller, request: Request, events: list[AuditEvent]) -> BatchRecorded | BatchParked:
    """Write a batch of audit events, all or none; a person is the actor of each that it sends."""
    theirs = [attributed(event, caller.identity) for event in events]
    return _told(request, current(AuditService).record_batch(theirs))


@blueprint.post("")
@operation(
    Permission.WRITE,
    body=AuditEventSchema,
    wants_caller=True,
    wants_request=True,
    answers=RECORDED,
    problems=WRITE_PROBLEMS,
    successor="/api/v1/audit/events",
)
def create_event_by_older_name(
    caller: Caller, request: Request, event: AuditEvent
) -> Recorded | AlreadyRecorded | Parked:
    """Write one audit event (older name of `POST /api/v1/audit/events`)."""
    return _told(request, current(AuditService).record(attributed(event, caller.identity)))


def _told(request: Request, outcome: Outcome) -> Outcome:
    """Return the outcome of a write, later if its client would like to wait for the leaf."""
    prefer = request.environ.get("HTTP_PREFER")
    if prefer is not None and isinstance(outcome, Recorded):
        request.added += tuple(current(LeafWaits).headers(prefer, [outcome.event_id]))
    elif prefer is not None and isinstance(outcome, BatchRecorded):
        request.added += tuple(current(LeafWaits).headers(prefer, outcome.event_ids))
    return outcome


def _lines(export: EventExport) -> Lines:
    return Lines(export, f"{blueprint.url_prefix}/events")


@blueprint.get("/events")
@operation(
    Permission.READ,
    query=AuditSearch,
    audited=True,
    exports=asks_for_lines,
    answers=(
        Answer(
            EventPage,
            200,
            EventPage,
            "One page of events.",
            links=(NEXT_PAGE,),
            rows=lambda page: len(page.data),
        ),
        Answer(
            EventExport,
            200,
            STORED,
            "As an export, one event per line.",
            media_type=NDJSON,
            body=_lines,
            headers=lambda export: {NEXT_CURSOR: export.next_cursor} if export.next_cursor else {},
            announces=(NEXT_CURSOR,),
            stream=True,
        ),
    ),
    problems=(*READ_PROBLEMS, "too-many-exports"),
)
def find_events(wanted: PageRequest | ExportRequest) -> EventPage | EventExport:
    """Find audit events by filters, a page at a time, or stream them as lines.

    All filters have to hold. Events come in a total order, by `event_timestamp` and then `event_id`.

    Beside the parameters below, members of the payload may be compared: a parameter
    `event_data.<path>=<text>` keeps the events whose `event_data` has at this path a string, number,
    boolean or `null` that reads like the text; two numbers are compared as numbers. A path is 1 to 8
    segments of `[A-Za-z0-9_-]{1,64}` joined by dots; digits index an array. Examples:
    `event_data.alert_name=EtcdHighCommitLatency`, `event_data.pods.0.ready=true`. At most 5 payload filters
    are allowed, `event_data_contains` and the pair `detail_key`, `detail_value` included.

    With `Accept: application/x-ndjson` or `format=ndjson` the answer is an export: one event per line,
    read while it is sent, as of the moment it began. Ask for `end=true`: the last line then tells whether
    the export is complete. Without it a truncated export ends without the final chunk, one that takes too
    long among them. `offset` is refused there; go on with `cursor`.
    """
    reader = current(AuditReader)
    return reader.export(wanted) if isinstance(wanted, ExportRequest) else reader.find_page(wanted)


@blueprint.get("/events/<event_id>")
@operation(
    Permission.READ,
    path=EventIdPath,
    audited=True,
    answers=(Answer(Raw, 200, STORED, "The event.", rows=lambda _: 1),),
    problems=(*READ_PROBLEMS, "not-found"),
)
def get_event(event_id: UUID) -> Raw:
    """Read one audit event by its id."""
    return current(AuditReader).find(event_id)
