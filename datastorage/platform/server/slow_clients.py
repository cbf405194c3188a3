"""Clients that stop in the middle of a request, or send it byte by byte, hold a thread for a bounded time.

The kernel ends a write that stalls (``SO_SNDTIMEO``), and a read after the short time that a thread stays
with its client (``SO_RCVTIMEO``). Nearly every request has arrived by then. For the others the reader has a
deadline for the whole body, which a client that sends a byte now and then cannot postpone.
"""

import socket
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.server.arrival import Arrival
from datastorage.platform.server.quiet_socket import QuietSocket
from datastorage.settings import ServerSettings

if TYPE_CHECKING:
    from datastorage.platform.request_class import RequestClass
    from datastorage.platform.server.held import ConnectionTaken
    from datastorage.platform.web.gates import Admission

CLOSED: Final = -1
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
DROPPED_BYTES: Final = 64 * 1024
"""The longest rest of a body that is dropped to keep a connection."""
LINGER: Final = timedelta(milliseconds=100)
"""Long enough for the next request of a busy client, too short to be noticed."""


def limit_stalls(listeners: Iterable[Any], write_timeout: timedelta) -> None:
    """Set the timeout on listening sockets; on Linux accepted ones inherit it."""
    for listener in listeners:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(write_timeout))


def _timeval(period: timedelta) -> bytes:
    return struct.pack("@ll", period.days * 86400 + period.seconds, period.microseconds)


class PatientConnection(TConn):
    """A connection whose requests have to arrive in time.

    Args:
        cfg: gunicorn's configuration.
        accepted: our end of it, and the address of the client.
        server: our own address.
        settings: how long a body may take, and how large it may be.

    Attributes:
        port: to which the client came.
        address: of the client, without its port.
        arrival: how much of the next request is there.
        waits_for: what the main thread watches it for, if it does.
        body_expires_at: deadline of a body that had to wait for its turn; others have the whole time.
        request_class: of the request that has a thread or waits for one; ``None`` of a probe.
        waited_seconds: how long it waited.
        has_unread_body: whether a part of its body is left that has not arrived.
        admission: what the gates found out by the head of a request whose body came later.
        environ: of the request that is being answered.
        taken: set once the head of an answer is sent, of which somebody else sends the rest.
    """

    def __init__(
        self,
        cfg: Any,
        accepted: tuple[QuietSocket, Any],
        server: Any,
        settings: ServerSettings,
    ) -> None:
        sock, address = accepted
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(LINGER))
        self.port = server[1] if isinstance(server, tuple) else 0
        self.address = sock.address
        super().__init__(cfg, sock, address, server)
        self.sock.setblocking(True)  # the main thread reads with a flag instead
        self.arrival = Arrival(settings.max_body_bytes)
        self.waits_for: Any = None
        self.body_expires_at: float | None = None
        self.request_class: RequestClass | None = None
        self.waited_seconds = 0.0
        self.has_unread_body = False
        self.admission: Admission | None = None
        self.environ: Mapping[str, Any] = {}
        self.taken: ConnectionTaken | None = None
        self._read_timeout = settings.read_timeout

    def init(self) -> None:
        """Read through a reader with deadlines; safe to call again."""
        is_first = not self.initialized
        super().init()
        if is_first:
            self.parser = PatientParser(self.cfg, self.sock, self.client)
            self.parser.unreader = PatientReader(self.sock, self._read_timeout.total_seconds())

    def hand_over(self) -> None:
        """Give what has arrived to the parser; runs in the thread that handles the request."""
        self.init()
        self.has_unread_body = True  # until the application has answered
        self.parser.unreader.expects_continue = self.arrival.expects_continue
        self.parser.unreader.unread(self.arrival.hand_over())

    @property
    def is_body_awaited(self) -> bool:
        """Whether the request that was handed over is admitted, and goes on when its body has arrived."""
        return bool(self.parser.goes_on)

    def await_body(self, admission: "Admission") -> None:
        """Keep a request until its body has arrived; the parser gives it out once more then."""
        self.admission = admission
        self.parser.goes_on = True
        self.arrival.await_body(self.parser.unreader.take_buffered())

    def drop_body(self) -> bool:
        """Drop what is left of a body; return whether all of it was here, so that a request can follow."""
        body = self.parser.mesg.body
        is_read = not body.failed and getattr(body.reader, "length", None) == 0
        self.has_unread_body = not is_read and (body.failed or not self._drops_rest())
        return not self.has_unread_body

    def _drops_rest(self) -> bool:
        reader = self.parser.unreader
        reader.reads_socket = False
        try:
            return bool(self.parser.finish_body(max_bytes=DROPPED_BYTES + 1))
        except (OSError, ParseException):
            return False
        finally:
            reader.reads_socket = True

    def begin_next(self) -> None:
        """Look at what came behind the request that is answered; one that awaits its body is not over."""
        if self.is_body_awaited:
            return
        self.admission = None
        self.body_expires_at = None
        self.waited_seconds = 0.0
        self.arrival.begin(self.parser.unreader.take_buffered())

    @property
    def is_closed(self) -> bool:
        """Whether its socket is closed."""
        return bool(self.sock.fileno() == CLOSED)

    def close(self, graceful: bool = False) -> None:
        """Close it; safe to call again."""
        if not self.is_closed:
            super().close(graceful)

    def expect_head(self) -> None:
        """Begin to wait for the next request, with all the time there is."""
        self.parser.unreader.expect(is_body=False)

    def expect_body(self) -> None:
        """Begin to wait for a body, with all the time that is left."""
        self.parser.unreader.expect(is_body=True, expires_at=self.body_expires_at)


class PatientParser(RequestParser):
    """Parses requests.

    Attributes:
        goes_on: whether the last one comes once more, because its body has only now arrived.
    """

    goes_on = False

    def __next__(self) -> Any:
        """Return the request that comes next."""
        if self.goes_on:
            self.goes_on = False
            return self.mesg
        return super().__next__()


class PatientReader(SocketUnreader):
    """Reads from a socket until a deadline that starts with the first read of a head or a body.

    Attributes:
        reads_socket: whether it may read what is not here yet.
        expects_continue: whether the client waits for ``100 Continue``; sent when the body is first read.
    """

    def __init__(self, client: socket.socket, timeout_seconds: float) -> None:
        super().__init__(client)
        self._timeout_seconds = timeout_seconds
        self._expires_at: float | None = None
        self._is_body = False
        self.reads_socket = True
        self.expects_continue = False

    def expect(self, *, is_body: bool, expires_at: float | None = None) -> None:
        """Start over: what comes next is a head or a body. The whole time begins with the first read."""
        self._expires_at = expires_at
        self._is_body = is_body

    def read_ahead(self) -> bytes:
        """Wait for the next request as long as a thread may, and return what arrived."""
        try:
            data: bytes = self.sock.recv(self.mxchunk)
        except OSError:
            # Nothing in time, or a broken connection: the poller will notice that.
            return b""
        return data

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return what has arrived, waiting for something if need be.

        Raises:
            TimeoutError: in a body, which is answered with 408.
            NoMoreData: in a head, as if the client had hung up, and where only what is here may be read.
        """
        if not self.reads_socket:
            raise NoMoreData
        if self.expects_continue and self._is_body:
            self.expects_continue = False
            self.sock.sendall(CONTINUE)
        try:
            return self._first(size_hint) if self._expires_at is None else self._next(size_hint)
        except (TimeoutError, BlockingIOError) as error:
            # A socket with a timeout raises the first, one whose SO_RCVTIMEO is over the second.
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
        try:
            while (left := (self._expires_at or 0.0) - monotonic_seconds()) > 0:
                self.sock.settimeout(left if before is None else min(before, left))
                with suppress(BlockingIOError):  # of TLS: a part of a record has come
                    data: bytes = super().chunk(size_hint)
                    return data
            raise TimeoutError
        finally:
            self.sock.settimeout(before)
