"""Reads that leave a trace: which requests count as one, and what is kept of them.

The door tells of every request, refused ones too, so no view decides about it. Who writes the trace is not
the cellar's concern.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from datastorage.errors import InvalidInput
from datastorage.platform.access.identity import Identity, Kind
from datastorage.platform.web.replies import Reply
from datastorage.platform.web.requests import Request

MAX_FILTER_CHARS: Final = 256
WHOSE_READS: Final[Mapping[str, frozenset[Kind]]] = {
    "off": frozenset(),
    "people": frozenset({Kind.PERSON}),
    "all": frozenset(Kind),
}
"""Callers whose reads leave a trace, by ``auth.audit_reads``."""

_NAMES_OF_ONE: Final = ("event_id", "correlation_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One request for records.

    Attributes:
        reader: who asked.
        request_id: of the request.
        method: of the request.
        route: the rule that served it.
        status: of the answer.
        rows: how many were shown, ``None`` when unknown.
        asked_for: the event or the correlation id, ``None`` when it asked for no single one.
        filters: the query parameters, each cut to 256 characters.
        remote_addr: the other end of the socket.
    """

    reader: Identity
    request_id: str
    method: str
    route: str
    status: int
    rows: int | None
    asked_for: str | None
    filters: Mapping[str, str]
    remote_addr: str | None


class AuditedReads:
    """Picks the requests that leave a trace.

    Args:
        whose: a key of ``WHOSE_READS``.
        write: takes a read over; returns at once and raises nothing.
    """

    def __init__(self, whose: str, write: Callable[[Read], None]) -> None:
        self._kinds = WHOSE_READS[whose]
        self._write = write

    def note(self, request: Request, reply: Reply) -> None:
        """Leave a trace of a request that has its answer, if it read records and its caller is known."""
        endpoint, caller = request.endpoint, request.caller
        if endpoint is None or caller is None or not endpoint.operation.audited:
            return
        if caller.identity.kind in self._kinds:
            self._write(_read_of(request, reply, caller.identity))


def _read_of(request: Request, reply: Reply, reader: Identity) -> Read:
    filters = _filters_of(request)
    named = [
        values[name] for values in (request.variables, filters) for name in _NAMES_OF_ONE if name in values
    ]
    return Read(
        reader=reader,
        request_id=request.request_id,
        method=request.method,
        route=request.rule,
        status=reply.status,
        rows=request.rows,
        asked_for=_storable(named[0]) if named else None,
        filters=filters,
        remote_addr=request.environ.get("REMOTE_ADDR"),
    )


def _filters_of(request: Request) -> dict[str, str]:
    """Return the parameters as they were sent; those of a query in a broken encoding say nothing."""
    query = request.endpoint.query if request.endpoint is not None else None
    if query is None:
        return {}
    try:
        texts = request.sent(query.resource, slug=query.encoding_slug).texts
    except InvalidInput:
        return {}
    return {_storable(name): _storable(text) for name, text in texts.items()}


def _storable(text: str) -> str:
    """Return the beginning of what a client wrote, without U+0000, which PostgreSQL does not store."""
    return text[:MAX_FILTER_CHARS].replace("\0", "\N{REPLACEMENT CHARACTER}")
