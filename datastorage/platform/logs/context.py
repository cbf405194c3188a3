"""Which request a log line belongs to."""

from contextvars import ContextVar
from typing import Final

from msgspec import Struct
from msgspec.structs import replace


class RequestContext(Struct, frozen=True, omit_defaults=True):
    """What every line written for one request says about it."""

    request_id: str | None = None
    correlation_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None


NO_REQUEST: Final = RequestContext()
request_context: ContextVar[RequestContext] = ContextVar("request_context", default=NO_REQUEST)
"""The request this thread works for. The web layer sets it at the start of each; threads are used again."""


def correlate(correlation_id: str) -> None:
    """Give the following lines of this request the correlation id of the event or query it is about."""
    request_context.set(replace(request_context.get(), correlation_id=correlation_id))
