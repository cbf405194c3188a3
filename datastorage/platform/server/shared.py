"""Memory that the arbiter shares with its workers.

An ordinary variable belongs to one process: one worker would answer readiness with 503 and another with 200
(DD-007). A mapping that is made before a fork is inherited, also by workers that are started later.
"""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

_IN_FLIGHT: Final = 0
_DRAINED: Final = 1


class SharedFlag:
    """Is down until a process raises it; calling it returns whether it is up."""

    __slots__ = ("_memory",)

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    def __call__(self) -> bool:
        """Return whether the flag is up; reads the shared byte every time."""
        return self._memory[0] != 0

    def set(self) -> None:
        """Raise the flag in every process at once; safe inside a signal handler."""
        self._memory[0] = 1


class InFlightRequests:
    """Requests of one worker, which counts them; the arbiter reads the numbers for its log."""

    def __init__(self) -> None:
        self._numbers = memoryview(mmap.mmap(-1, 16)).cast("Q")
        self._lock = Lock()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count a request as long as it is worked on."""
        with self._lock:
            self._numbers[_IN_FLIGHT] += 1
        try:
            yield
        finally:
            with self._lock:
                self._numbers[_IN_FLIGHT] -= 1

    def drained(self) -> None:
        """Count a request that finished after the worker was told to stop."""
        with self._lock:
            self._numbers[_DRAINED] += 1

    @property
    def count(self) -> int:
        """Requests that are worked on."""
        return self._numbers[_IN_FLIGHT]

    @property
    def drained_count(self) -> int:
        """Requests that finished after the worker was told to stop."""
        return self._numbers[_DRAINED]
