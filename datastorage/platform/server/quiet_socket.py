"""A socket that avoids system calls.

Every call releases the interpreter's lock. With many busy threads each then costs a switch of threads,
which is far more than the call itself: for a request whose answer fits into one packet, gunicorn sets the
mode of a socket four times and sends twice.
"""

import socket
from typing import Any


class QuietSocket(socket.socket):
    """The socket of an accepted connection; takes it over from the object that ``accept`` returned.

    Attributes:
        refusal: why the body of the current request did not arrive, if it did not.
    """

    def __init__(self, accepted: socket.socket) -> None:
        timeout = accepted.gettimeout()
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        super().settimeout(timeout)
        self.refusal: str | None = None
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

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send everything, together with what was held."""
        if self._holds_next:
            self._holds_next, self._held = False, bytes(data)
            return
        held, self._held = self._held, b""
        super().sendall(held + data if held else data, flags)

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
        """Drop what is still held: the answer broke off, and the connection will be closed."""
        self._holds_next, self._held = False, b""
