"""Buffers lines until standard output takes them, and counts those that it drops.

No request, probe, scrape or shutdown waits for the reader of standard output. A worker writes from a thread.
A process that forks, such as the arbiter, has none: it writes with each line as much as there is room for.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from itertools import accumulate, islice, takewhile
from threading import Event, Lock, Thread
from typing import Final

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.logs.lines import Entry
from datastorage.platform.logs.output import FILE_BYTES, WHOLE_BYTES, Output

ACCESS: Final = "access"
OTHER: Final = "other"
KEPT_BYTES: Final = {ACCESS: 1 << 20, OTHER: 2 << 20}
"""A line of this kind is dropped when the buffer would grow beyond this."""
MOST_UNFORMATTED: Final = 5000
"""Entries, about 2 MiB of lines. Only a pipe that may not be opened again lets so many wait."""

GATHER_SECONDS: Final = 0.05
"""The thread waits this long for further lines: waking it for each would cost more than writing them."""
RETRY_SECONDS: Final = 0.1
YIELD_SECONDS: Final = 0.001
"""How long the thread leaves the lock to others that write."""
BLOCKED_SECONDS: Final = 1.0
FLUSH_SECONDS: Final = 0.3
"""How long the end of a process waits for a reader that takes nothing."""
LONGEST_FLUSH_SECONDS: Final = 2.0
"""How long it waits for a slow one."""


class LineWriter:
    """The lines of one process.

    Args:
        output: where they go.
        line_of: formats an entry; raises nothing.
    """

    def __init__(self, output: Output, line_of: Callable[[Entry], str]) -> None:
        self.count_dropped: Callable[[str], object] = lambda kind: kind
        """Called for each dropped line with its kind, ``access`` or ``other``."""
        self._output = output
        self._line_of = line_of
        self.forget_lines()

    def forget_lines(self) -> None:
        """Start with an empty buffer, at first and after a fork: the parent writes its own lines."""
        self._lock = Lock()
        self._added: deque[str | Entry] = deque()
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._progress_at = 0.0
        self._has_added = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Write from a thread from now on; after the fork, never before."""
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def add(self, line: str | Entry) -> None:
        """Take a line, or an entry that is formatted later."""
        if len(self._added) >= MOST_UNFORMATTED:
            self.count_dropped(_kind(line))
            return
        self._added.append(line)
        if self._thread is None:
            self.write()
        elif not self._has_added.is_set():  # to ask is cheaper than to take the lock of the event each time
            self._has_added.set()

    def _run(self) -> None:
        while True:
            self._has_added.wait()
            time.sleep(GATHER_SECONDS)
            self._has_added.clear()
            while not self.write():
                self._output.wait(RETRY_SECONDS)
                time.sleep(YIELD_SECONDS)

    def write(self) -> bool:
        """Write as much as there is room for, unless another thread does; return whether nothing is left."""
        # In a loop: another thread may add a line and find the lock taken just before it is released.
        while self._has_lines() and self._lock.acquire(blocking=False):
            try:
                if not self._write_all():
                    return False
            finally:
                self._lock.release()
        return not self._has_lines()

    def flush(self) -> None:
        """Write the last lines, giving up soon when the reader takes none."""
        began = self._progress_at = monotonic_seconds()
        while not self.write():
            now = monotonic_seconds()
            if now - self._progress_at > FLUSH_SECONDS or now - began > LONGEST_FLUSH_SECONDS:
                return
            self._output.wait(RETRY_SECONDS)

    def is_blocked(self) -> bool:
        """Tell whether lines wait and none was taken for a second."""
        return self._kept_bytes > 0 and monotonic_seconds() - self._progress_at >= BLOCKED_SECONDS

    def close(self) -> None:
        """Close the output, unless a blocked write still uses it; lines that wait are lost."""
        if self._lock.acquire(timeout=FLUSH_SECONDS):
            self._output.close()
            self._lock.release()

    def _has_lines(self) -> bool:
        return bool(self._added or self._kept_bytes)

    def _write_all(self) -> bool:
        self._format_added(FILE_BYTES)
        while self._kept_bytes:
            taken = self._write_once(b"".join(self._next_lines()))
            if not taken:
                # Formatted now, so that lines are dropped by their size and not by MOST_UNFORMATTED.
                self._format_added(max(KEPT_BYTES.values()))
                return False
            self._drop_taken(taken)
            self._progress_at = monotonic_seconds()
            self._format_added(FILE_BYTES)
        return True

    def _format_added(self, most_bytes: int) -> None:
        """Format what was added, until ``most_bytes`` wait; the rest need not be dropped yet."""
        while self._added and self._kept_bytes <= most_bytes:
            line = self._added.popleft()
            text = line if isinstance(line, str) else self._line_of(line)
            self._keep(_kind(line), f"{text}\n".encode("utf-8", "backslashreplace"))

    def _keep(self, kind: str, line: bytes) -> None:
        if self._kept_bytes + len(line) > KEPT_BYTES[kind]:
            self.count_dropped(kind)
            return
        if not self._kept_bytes:
            self._progress_at = monotonic_seconds()
        self._kept.append(line)
        self._kept_bytes += len(line)

    def _next_lines(self) -> list[bytes]:
        """Return the lines, at least one, that the output takes in one piece."""
        if self._kept_bytes <= WHOLE_BYTES:
            return list(self._kept)
        whole_bytes = self._output.whole_bytes()
        sizes = accumulate(map(len, self._kept))
        count = sum(1 for _ in takewhile(lambda size: size <= whole_bytes, sizes))
        return list(islice(self._kept, max(count, 1)))

    def _write_once(self, lines: bytes) -> int:
        try:
            return self._output.write(lines)
        except (OSError, ValueError):  # the reader is gone, or the disk is full
            for _ in range(lines.count(b"\n")):
                self.count_dropped(OTHER)
            return len(lines)

    def _drop_taken(self, taken: int) -> None:
        self._kept_bytes -= taken
        while taken > 0:
            line = self._kept.popleft()
            if len(line) > taken:
                self._kept.appendleft(line[taken:])
            taken -= len(line)


def _kind(line: str | Entry) -> str:
    return ACCESS if isinstance(line, Entry) and line.level <= logging.INFO else OTHER
