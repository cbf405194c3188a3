"""Standard output, or another stream, written to without waiting for its reader."""

import fcntl
import os
import select
import stat
import termios
from contextlib import suppress
from typing import Final, TextIO

WHOLE_BYTES: Final = select.PIPE_BUF
"""A pipe takes this much in one piece or not at all, so lines of several processes do not mix in it."""
EMPTY_PIPE_BYTES: Final = 6 * WHOLE_BYTES
"""An empty pipe takes this much in one piece, and once more from another process at the same time."""
FILE_BYTES: Final = 1 << 18


class Output:
    """A stream that takes what it has room for.

    A pipe is opened a second time: non-blocking is a property of the open file, and the inherited one is
    shared with other programs. Where that is forbidden, ``poll`` tells whether there is room.

    Args:
        stream: standard output or error, a file, or a stream in memory, which takes everything.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._descriptor: int | None = None
        self._reopened: int | None = None
        self._is_pipe = False
        self._is_closed = False
        with suppress(OSError, AttributeError):  # a stream in memory
            self._descriptor = stream.fileno()
            self._is_pipe = stat.S_ISFIFO(os.fstat(self._descriptor).st_mode)
        if self._is_pipe:
            with suppress(OSError):
                self._reopened = os.open(f"/proc/self/fd/{self._descriptor}", os.O_WRONLY | os.O_NONBLOCK)

    def write(self, lines: bytes) -> int:
        """Return how many bytes were taken, 0 when there is no room.

        Raises:
            OSError: the reader is gone, or the disk is full.
            ValueError: this, or a stream in memory, is closed.
        """
        if self._is_closed:
            raise ValueError("the output is closed")
        if self._descriptor is None:
            self._stream.write(lines.decode())
            return len(lines)
        if self._reopened is None:
            # A pipe with room takes this much without blocking; a file takes anything.
            piece = lines[:WHOLE_BYTES] if self._is_pipe else lines
            return os.write(self._descriptor, piece) if self.wait(0) else 0
        try:
            return os.write(self._reopened, lines)
        except BlockingIOError:
            return 0

    def whole_bytes(self) -> int:
        """Return how many bytes can be written in one piece now; few writes are cheaper than many."""
        if self._descriptor is None or not self._is_pipe:
            return FILE_BYTES
        unread = bytearray(4)
        fcntl.ioctl(self._descriptor, termios.FIONREAD, unread)
        return WHOLE_BYTES if any(unread) else EMPTY_PIPE_BYTES

    def wait(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for room and return whether there is some."""
        if self._descriptor is None or self._is_closed:
            return True
        # A new object for each call: several threads may wait, and poll objects do not allow that.
        room = select.poll()
        room.register(self._descriptor, select.POLLOUT)
        return bool(room.poll(seconds * 1000))

    def close(self) -> None:
        """Close what was opened here; the stream itself belongs to the caller."""
        self._is_closed = True
        if self._reopened is not None:
            os.close(self._reopened)
            self._reopened = None
