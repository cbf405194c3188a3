"""Keeps lines until standard output takes them, and counts those for which there is no room.

No request, probe, scrape or shutdown waits for the reader of standard output. A worker has a thread that
writes. A process without one, such as the arbiter, which forks, writes with each line what is taken.
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
"""How much may wait when a line of this kind is added; beyond it the line is dropped."""
MOST_WITHOUT_TEXT: Final = 5000
"""Entries, about 2 MiB of lines. So many wait only behind a pipe that may not be opened again."""

GATHER_SECONDS: Final = 0.05
"""How long the thread waits for further lines: waking it for each would cost more than writing them."""
RETRY_SECONDS: Final = 0.1
TURN_SECONDS: Final = 0.001
"""How long it leaves the turn to another thread that writes."""
BLOCKED_SECONDS: Final = 1.0
FLUSH_SECONDS: Final = 0.3
"""How long the end of a process waits for a reader that takes nothing."""
LONGEST_FLUSH_SECONDS: Final = 2.0
"""How long it waits for a slow one."""


class LineWriter:
    """The lines of one process.

    Args:
        output: where they go.
        line_of: makes the line of an entry; raises nothing.
    """

    def __init__(self, output: Output, line_of: Callable[[Entry], str]) -> None:
        self.count_dropped: Callable[[str], object] = lambda kind: kind
        """Called for each dropped line with its kind, ``access`` or ``other``."""
        self._output = output
        self._line_of = line_of
        self._turn = Lock()
        self._added: deque[str | Entry] = deque()
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._kept_bytes = 0
        self._progress_at = 0.0
        self._has_added = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Write from a thread from now on; after the fork, never before."""
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def add(self, line: str | Entry) -> None:
        """Take over a line, or what it is to be made of."""
        if len(self._added) >= MOST_WITHOUT_TEXT:
            self.count_dropped(_kind(line))
            return
        self._added.append(line)
        if self._thread is None:
            self.write()
        elif not self._has_added.is_set():
            self._has_added.set()

    def _run(self) -> None:
        while True:
            self._has_added.wait()
            time.sleep(GATHER_SECONDS)
            self._has_added.clear()
            while not self.write():
                self._output.wait(RETRY_SECONDS)
                time.sleep(TURN_SECONDS)

    def write(self) -> bool:
        """Write what there is room for, unless another thread does; return whether nothing is left."""
        # Again after each turn: a line that was added in its last moment is nobody else's.
        while self._has_lines() and self._turn.acquire(blocking=False):
            try:
                if not self._write_all():
                    return False
            finally:
                self._turn.release()
        return not self._has_lines()

    def flush(self) -> None:
        """Wait for the last lines to be taken, but not for long if none is."""
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
        """Give back what was opened, unless a write that waits still needs it; lines that wait are lost."""
        if self._turn.acquire(timeout=FLUSH_SECONDS):
            self._output.close()
            self._turn.release()

    def _has_lines(self) -> bool:
        return bool(self._added or self._kept_bytes)

    def _write_all(self) -> bool:
        self._keep_added(FILE_BYTES)
        while self._kept_bytes:
            lines = [] if self._rest else self._next_lines()
            text = self._rest or b"".join(lines)
            taken = self._taken(text)
            if not taken:
                self._keep_added(max(KEPT_BYTES.values()))
                return False
            for _ in lines:
                self._lines.popleft()
            self._rest = text[taken:]
            self._kept_bytes -= taken
            self._progress_at = monotonic_seconds()
            self._keep_added(FILE_BYTES)
        return True

    def _keep_added(self, most_bytes: int) -> None:
        """Make lines of what was added, until ``most_bytes`` wait: none is dropped while others are taken."""
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
        self._lines.append(line)
        self._kept_bytes += len(line)

    def _next_lines(self) -> list[bytes]:
        """Return as many lines as are taken whole together, at least one."""
        if self._kept_bytes <= WHOLE_BYTES:
            return list(self._lines)
        whole_bytes = self._output.whole_bytes()
        sizes = accumulate(map(len, self._lines))
        count = sum(1 for _ in takewhile(lambda size: size <= whole_bytes, sizes))
        return list(islice(self._lines, max(count, 1)))

    def _taken(self, lines: bytes) -> int:
        try:
            return self._output.write(lines)
        except (OSError, ValueError):  # the reader is gone, or the disk is full
            for _ in range(lines.count(b"\n")):
                self.count_dropped(OTHER)
            return len(lines)


def _kind(line: str | Entry) -> str:
    return ACCESS if isinstance(line, Entry) and line.level <= logging.INFO else OTHER
