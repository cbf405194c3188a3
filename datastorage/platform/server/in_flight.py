"""Requests in flight of one worker, in memory that the arbiter shares with it.

The arbiter says in its log how many requests a shutdown waits for, how many it let finish, and how many
it cut. Only the worker knows.
"""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

_IN_FLIGHT: Final = 0
_DRAINED: Final = 1


class InFlightRequests:
    """Two numbers of one worker, made before the fork; the worker counts and the arbiter reads."""

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
        """Count a request that finished although the worker was told to stop."""
        with self._lock:
            self._numbers[_DRAINED] += 1

    @property
    def count(self) -> int:
        """How many requests the worker works on right now."""
        return self._numbers[_IN_FLIGHT]

    @property
    def drained_count(self) -> int:
        """How many requests finished after the worker was told to stop."""
        return self._numbers[_DRAINED]
