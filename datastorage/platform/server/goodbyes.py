"""Connections that we have ended, while their clients may still be sending.

Closing a connection on which data arrive resets it, and a client that sends its whole request before it reads
never sees the answer. So only our half is closed, and what still comes is read and dropped for a while,
without a thread.
"""

from collections.abc import Callable
from functools import partial
from itertools import takewhile
from selectors import EVENT_READ, BaseSelector
from socket import SHUT_WR
from typing import Any, Final

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.server.sockets import drop_queued

GOODBYE_SECONDS: Final = 2.0
GOODBYES: Final = 16
"""Connections of a worker that are read at once; further ones are closed."""


class Goodbyes:
    """The ended connections of one worker. For the main thread alone.

    Args:
        poller: tells when something has come.
        max_bytes: more is not read; a client that has sent less in all can finish, and then read.
        close: closes a connection for good.
    """

    def __init__(self, poller: BaseSelector, max_bytes: int, close: Callable[[Any], None]) -> None:
        self._poller = poller
        self._max_bytes = max_bytes
        self._close = close
        self._ends_at: dict[Any, float] = {}  # in the order of their ends
        self._dropped: dict[Any, int] = {}  # bytes; those that are not read any more are not in it

    def say(self, conn: Any) -> None:
        """End our half of ``conn``, and close the other one when the client does, or after a while."""
        if len(self._dropped) >= GOODBYES or not _is_shut_down(conn):
            self._close(conn)
            return
        self._ends_at[conn] = monotonic_seconds() + GOODBYE_SECONDS
        self._dropped[conn] = 0
        self._poller.register(conn.sock, EVENT_READ, partial(self._read, conn))

    def expire(self) -> None:
        """Close those whose time is up."""
        now = monotonic_seconds()
        for conn, _ in list(takewhile(lambda item: item[1] <= now, self._ends_at.items())):
            self._end(conn)

    def _read(self, conn: Any, _sock: object) -> None:
        dropped = drop_queued(conn.sock)
        if dropped is None:
            return
        self._dropped[conn] += dropped
        if not dropped:
            self._end(conn)
        elif self._dropped[conn] >= self._max_bytes:
            # Not closed yet: what is left may fit into the buffers of both kernels. To get this far costs a
            # client so many bytes that not many connections are waiting here.
            self._stop_reading(conn)

    def _stop_reading(self, conn: Any) -> None:
        if self._dropped.pop(conn, None) is not None:
            self._poller.unregister(conn.sock)

    def _end(self, conn: Any) -> None:
        self._stop_reading(conn)
        del self._ends_at[conn]
        self._close(conn)


def _is_shut_down(conn: Any) -> bool:
    try:
        conn.sock.shutdown(SHUT_WR)
    except OSError:
        return False
    return True
