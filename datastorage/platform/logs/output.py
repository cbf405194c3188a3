"""Where lines go: standard output, written to without waiting for its reader."""

import fcntl
import os
import select
import stat
import termios
from contextlib import suppress
from typing import Final, TextIO

WHOLE_BYTES: Final = select.PIPE_BUF
"""A pipe takes this much whole or not at all, so lines of several processes do not mix in it."""
EMPTY_PIPE_BYTES: Final = 6 * WHOLE_BYTES
"""An empty one takes this much whole, and once more from another process at the same time."""
FILE_BYTES: Final = 1 << 18


class Output:
    """A stream that takes what it has room for.

    A pipe is opened once more: whether writes wait is a property of the open file, and the first one is
    shared with processes that are not ours. Where that is forbidden, ``poll`` tells whether there is room.

    Args:
        stream: standard output or error, a file, or a stream in memory, which takes everything.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._descriptor: int | None = None
        self._reopened: int | None = None
        self._is_pipe = False
        self._is_closed = False
        with suppress(OSError, AttributeError):  # in memory
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
            # A pipe that has room has this much; a file takes anything.
            taken = lines[:WHOLE_BYTES] if self._is_pipe else lines
            return os.write(self._descriptor, taken) if self.wait(0) else 0
        try:
            return os.write(self._reopened, lines)
        except BlockingIOError:
            return 0

    def whole_bytes(self) -> int:
        """Return how much is taken whole now: each call of the system may cost a wait for the interpreter."""
        if self._descriptor is None or not self._is_pipe:
            return FILE_BYTES
        unread = bytearray(4)
        fcntl.ioctl(self._descriptor, termios.FIONREAD, unread)
        return WHOLE_BYTES if any(unread) else EMPTY_PIPE_BYTES

    def wait(self, seconds: float) -> bool:
        """Wait at most so long for room, and return whether there is some."""
        if self._descriptor is None or self._is_closed:
            return True
        # One for each call: two threads may wait at the same time, and a poll object is for one.
        room = select.poll()
        room.register(self._descriptor, select.POLLOUT)
        return bool(room.poll(seconds * 1000))

    def close(self) -> None:
        """Close what was opened here; the stream is somebody else's."""
        self._is_closed = True
        if self._reopened is not None:
            os.close(self._reopened)
            self._reopened = None
