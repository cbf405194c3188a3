"""The shutdown flag: one byte of memory that the arbiter and all its workers share (DD-007).

An ordinary variable belongs to one process: one worker would answer readiness with 503 and the other
with 200. The mapping is anonymous and made before the fork, so every worker inherits it, also one
that is started later.
"""

import mmap


class ShutdownFlag:
    """Down until somebody raises it; calling it tells which."""

    __slots__ = ("_memory",)

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    def __call__(self) -> bool:
        """Return whether the service is shutting down; reads the shared byte every time."""
        return self._memory[0] != 0

    def set(self) -> None:
        """Raise the flag in every process at once; safe inside a signal handler."""
        self._memory[0] = 1
