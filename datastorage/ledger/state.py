"""The state of the ledger, which one process of a pod finds out and all of them show."""

import mmap
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """What ``/health`` says."""

    OK = "ok"
    UNSIGNED = "unsigned"
    BEHIND = "behind"
    STOPPED = "stopped"
    OFF = "off"


_STATES: Final = tuple(State)


class SharedState:
    """One state in memory that is made before the first fork."""

    __slots__ = ("_memory",)

    def __init__(self, state: State) -> None:
        self._memory = mmap.mmap(-1, 1)
        self.set(state)

    def __call__(self) -> State:
        """Return the state."""
        return _STATES[self._memory[0]]

    def set(self, state: State) -> None:
        """Change it in every process at once."""
        self._memory[0] = _STATES.index(state)
