"""The class of a request: those that read leave a part of the threads and connections to those that write.

The gates set it for the thread that carries a request out; threads that work in the background belong to no
request and count as writing, so they never wait for reads.
"""

from contextvars import ContextVar
from enum import StrEnum
from typing import Final, NamedTuple


class RequestClass(StrEnum):
    """What the permission of an operation makes of its requests."""

    READ = "read"
    WRITE = "write"


class Standing(NamedTuple):
    """What the request of this thread may still wait for.

    Attributes:
        request_class: decides whether a connection to the database may be one of the reserved ones.
        waited_seconds: how long it has waited for its thread; a read waits less for its connection then.
    """

    request_class: RequestClass = RequestClass.WRITE
    waited_seconds: float = 0.0


_BACKGROUND: Final = Standing()
standing_of_request: Final = ContextVar("standing_of_request", default=_BACKGROUND)
