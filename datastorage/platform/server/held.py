"""Connections that outlive their request: no thread holds them, and one thread of their taker sends on all.

A view puts a taker into the environ under ``TAKER`` beside its answer, which has no body yet. Once the head
is sent the worker forgets the connection, and the taker gets it. Under other servers the answer ends there.
"""

import socket
from collections import deque
from contextlib import suppress
from typing import Final, Protocol

from datastorage.platform.server.quiet_socket import AT_ONCE, PIECE_BYTES, QuietSocket

TAKER: Final = "datastorage.taker"
"""Key of the WSGI environ: takes the connection when the head of the answer is sent."""
IGNORED_BYTES: Final = 4096
"""What a client may say meanwhile is read in pieces of so many bytes, and dropped."""


class HeldConnection:
    """The rest of one answer. For one thread at a time.

    Args:
        sock: of the client; the head of the answer is sent.
        is_chunked: whether the body goes in chunks, else it ends with the connection.

    Attributes:
        unsent_bytes: of what was given to ``send``, and the kernel has not taken.
        is_gone: whether the client has left.
    """

    def __init__(self, sock: QuietSocket, *, is_chunked: bool) -> None:
        self._sock = sock
        self._is_chunked = is_chunked
        self._unsent: deque[memoryview] = deque()
        self.unsent_bytes = 0
        self.is_gone = False

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._sock.fileno()

    def send(self, data: bytes) -> None:
        """Send as much as the kernel takes, and keep the rest; ``push`` goes on with it."""
        self._append(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)
        self.push()

    def end(self) -> None:
        """Say that the answer is whole."""
        if self._is_chunked:
            self._append(b"0\r\n\r\n")
            self.push()

    def _append(self, data: bytes) -> None:
        self._unsent.append(memoryview(data))
        self.unsent_bytes += len(data)

    def push(self) -> None:
        """Send what is kept, as far as the kernel takes it."""
        try:
            while self._unsent:
                sent = self._sock.send(self._unsent[0][:PIECE_BYTES], AT_ONCE)
                self.unsent_bytes -= sent
                rest = self._unsent[0][sent:]
                if rest:
                    self._unsent[0] = rest
                else:
                    self._unsent.popleft()
            if self._sock.has_unsent:
                self._sock.send(b"", AT_ONCE)
        except BlockingIOError:
            pass
        except OSError:
            self.is_gone = True

    def listen(self) -> None:
        """Look whether the client has left; whatever else it says is dropped."""
        try:
            if not self._sock.recv(IGNORED_BYTES, AT_ONCE):
                self.is_gone = True
        except BlockingIOError:
            pass
        except OSError:
            self.is_gone = True

    def close(self) -> None:
        """Close it, so that a client that has not read everything yet still can."""
        with suppress(OSError):  # it has left
            self._sock.shutdown(socket.SHUT_WR)
        self._sock.close()


class Taker(Protocol):
    """Who sends the rest of an answer."""

    def keep(self) -> None:
        """Expect the connection: the head is sent."""

    def take(self, connection: HeldConnection) -> None:
        """Send the rest; called in the main thread of the worker."""


class ConnectionTaken(BaseException):
    """The head of an answer is sent, and somebody else sends the rest.

    This is no error, and nothing between the application and the worker may answer it.

    Attributes:
        taker: gets the connection.
        is_chunked: whether the body goes in chunks.
    """

    def __init__(self, taker: Taker, *, is_chunked: bool) -> None:
        super().__init__()
        self.taker = taker
        self.is_chunked = is_chunked
