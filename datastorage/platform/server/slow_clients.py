"""Clients that stop in the middle of a request, or send it drop by drop, hold a thread for a bounded time.

The kernel ends a write that stalls (``SO_SNDTIMEO``), and a read after the moment that a thread stays with
its client (``SO_RCVTIMEO``). Nearly every request is there by then; for the others the reader has a deadline
for the whole, which also ends a client that sends one byte now and then.
"""

import socket
import struct
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from gunicorn.http.errors import NoMoreData
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.server.quiet_socket import QuietSocket

CLOSED: Final = -1
LINGER: Final = timedelta(milliseconds=100)
"""Long enough for the next request of a busy client, short beside what anybody would notice."""


def limit_stalls(listeners: Iterable[Any], write_timeout: timedelta) -> None:
    """Set the timeout on listening sockets; on Linux the accepted ones inherit it."""
    for listener in listeners:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(write_timeout))


def _timeval(period: timedelta) -> bytes:
    return struct.pack("@ll", period.days * 86400 + period.seconds, period.microseconds)


class PatientConnection(TConn):
    """A connection whose requests have to arrive in time.

    Args:
        cfg: gunicorn's configuration.
        accepted: what ``accept`` returned: socket and address of the client.
        server: our own address.
        read_timeout: for the head of a request, and again for its body.
    """

    def __init__(
        self, cfg: Any, accepted: tuple[socket.socket, Any], server: Any, read_timeout: timedelta
    ) -> None:
        client, address = accepted
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(LINGER))
        super().__init__(cfg, QuietSocket(client), address, server)
        self._read_timeout = read_timeout

    def init(self) -> None:
        """Read through a reader with deadlines; safe to call again."""
        is_first = not self.initialized
        super().init()
        if is_first:
            self.parser.unreader = PatientReader(self.sock, self._read_timeout.total_seconds())

    def close(self, graceful: bool = False) -> None:
        """Close it; safe to call again."""
        if self.sock.fileno() != CLOSED:
            super().close(graceful)

    def expect_head(self) -> None:
        """Begin to wait for the next request, with all the time there is."""
        self.parser.unreader.expect(is_body=False)

    def expect_body(self) -> None:
        """Begin to wait for a body, with all the time there is."""
        self.parser.unreader.expect(is_body=True)


class PatientReader(SocketUnreader):
    """Reads from a socket until a deadline that starts with the first read of a head or a body."""

    def __init__(self, client: socket.socket, timeout_seconds: float) -> None:
        super().__init__(client)
        self._timeout_seconds = timeout_seconds
        self._expires_at: float | None = None
        self._is_body = False

    def expect(self, *, is_body: bool) -> None:
        """Start over: what comes next is a head or a body."""
        self._expires_at = None
        self._is_body = is_body

    @property
    def has_more(self) -> bool:
        """Whether something is read already that no request has used."""
        return bool(self.buf.tell())

    def read_ahead(self) -> bool:
        """Wait for the next request as long as a thread may; return whether it or the end arrived."""
        try:
            self.buf.write(self.sock.recv(self.mxchunk))
        except OSError:
            # Nothing in time, or a broken connection: the poller will find out.
            return False
        return True

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return what has arrived, waiting for something if need be.

        Raises:
            TimeoutError: in a body, which is answered with 408.
            NoMoreData: in a head, as if the client had hung up.
        """
        try:
            return self._first(size_hint) if self._expires_at is None else self._next(size_hint)
        except (TimeoutError, BlockingIOError) as error:
            # When its time is up, a socket with a timeout raises one, and one that may not block the other.
            if self._is_body:
                raise TimeoutError from error
            raise NoMoreData from error

    def _first(self, size_hint: int | None) -> bytes:
        self._expires_at = monotonic_seconds() + self._timeout_seconds
        try:
            data: bytes = super().chunk(size_hint)
        except BlockingIOError:
            return self._next(size_hint)
        return data

    def _next(self, size_hint: int | None) -> bytes:
        before = self.sock.gettimeout()
        left = (self._expires_at or 0.0) - monotonic_seconds()
        if left <= 0:
            raise TimeoutError
        self.sock.settimeout(left if before is None else min(before, left))
        try:
            data: bytes = super().chunk(size_hint)
            return data
        finally:
            self.sock.settimeout(before)
