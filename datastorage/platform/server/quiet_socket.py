"""A socket that avoids system calls.

Every call releases the interpreter's lock. With many busy threads each then costs a switch of threads,
which is far more than the call itself: for a request whose answer fits into one packet, gunicorn sets the
mode of a socket four times and sends twice.
"""

import socket
from typing import Any, Final

from datastorage.platform.server.slow_readers import Sending, SlowReaders

PIECE_BYTES: Final = 64 * 1024
"""How much of an answer is sent at once to a client that does not take all of it."""
AT_ONCE: Final = int(socket.MSG_DONTWAIT)
"""As a number: to combine the flags of the module builds an object each time."""
UNSENT_BYTES: Final = 128 * 1024
"""How much of a stream the kernel holds beyond what is on its way to the client."""


class QuietSocket(socket.socket):
    """The socket of an accepted connection; takes it over from the object that ``accept`` returned.

    Args:
        accepted: the object.
        address: of the client.
        slow_readers: watches answers that the client does not take at once.

    Attributes:
        scheme: of the URLs that led here.
        address: of the client.
        is_in_handshake: whether a handshake has begun and is not over.
        has_unsent: whether it keeps something that ``send`` took and the kernel has not.
    """

    scheme = "http"
    is_in_handshake = False
    has_unsent = False

    def __init__(self, accepted: socket.socket, address: str, slow_readers: SlowReaders) -> None:
        timeout = accepted.gettimeout()
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        super().settimeout(timeout)
        self.address = address
        self._slow_readers = slow_readers
        self._sending: Sending | None = None
        self._holds_next = False
        self._held = b""

    def settimeout(self, value: float | None, /) -> None:
        """Change the mode if it is another one."""
        if value != self.gettimeout():
            super().settimeout(value)

    def setblocking(self, flag: bool, /) -> None:
        """Change the mode if it is another one."""
        self.settimeout(None if flag else 0.0)

    def hold_next(self) -> None:
        """Keep what is sent next, the head of an answer, until its body or ``release`` comes."""
        self._holds_next = True

    def limit_unsent(self) -> None:
        """Let a stream run ahead of its client by ``UNSENT_BYTES`` only.

        The kernel would take megabytes from an export at once: a burst of work which others wait for, and
        memory that counts as ours, for a client that may take hours to read it.
        """
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send everything, together with what was held."""
        if self._holds_next:
            self._holds_next, self._held = False, bytes(data)
            return
        held, self._held = self._held, b""
        if held and len(data) > PIECE_BYTES:
            # A copy of a page for each client that reads slowly would be megabytes.
            self._send_whole(held, flags)
            self._send_whole(data, flags)
        else:
            self._send_whole(held + data if held else data, flags)

    def _send_whole(self, whole: Any, flags: int) -> None:
        try:
            sent = self.send(whole, flags | AT_ONCE)
        except BlockingIOError:
            sent = 0
        if self._sending is not None:
            self._sending.sent(sent, unread_bytes=len(whole) - sent)
        if sent < len(whole):
            self._send_rest(memoryview(whole)[sent:])

    def _send_rest(self, rest: memoryview) -> None:
        """Send what the client did not take at once, under the eyes of the main thread."""
        if self._sending is None:
            self._sending = self._slow_readers.begin(self, self.address)
        self._sending.blocks()
        try:
            self._send_waiting(rest)
        finally:
            self._sending.unblocks()

    def _send_waiting(self, rest: memoryview) -> None:
        while rest:
            sent = self.send(rest[:PIECE_BYTES])
            rest = rest[sent:]
            if self._sending is not None:
                self._sending.sent(sent, unread_bytes=len(rest))

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send what was held, then a file."""
        self.release()
        return super().sendfile(file, offset, count)

    def release(self) -> None:
        """Send what is still held: an answer without a body."""
        self._holds_next = False
        if self._held:
            self.sendall(b"")

    def forget(self) -> None:
        """End an answer; what is still held is dropped: it broke off, and the connection will be closed."""
        self._holds_next, self._held = False, b""
        self._stop_watching()

    def close(self) -> None:
        """Close it; nobody may shut its number down later, which may be another's then."""
        self._stop_watching()
        super().close()

    def _stop_watching(self) -> None:
        if self._sending is not None:
            self._slow_readers.end(self._sending)
            self._sending = None
