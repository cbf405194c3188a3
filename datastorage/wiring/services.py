"""The objects of one process: filed by class, started after the fork, closed at the end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar, cast
from wsgiref.types import WSGIApplication

from datastorage.dlq.worker import RetryWorker
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.loop import Loop

T = TypeVar("T")

STOP_TIMEOUT = timedelta(seconds=1)


@dataclass(slots=True)
class Services:
    """The objects of one process, by class, and what has to be started and closed."""

    by_class: dict[type, object] = field(default_factory=dict)
    loops: list[Loop | RetryWorker] = field(default_factory=list)
    starters: list[Callable[[], object]] = field(default_factory=list)
    closers: list[Callable[[], object]] = field(default_factory=list)
    middleware: Callable[[WSGIApplication], WSGIApplication] = lambda application: application

    def __getitem__(self, cls: type[T]) -> T:
        """Return the object of class ``cls``."""
        return cast("T", self.by_class[cls])

    def add(self, *objects: object) -> None:
        """File objects by their class."""
        self.by_class.update({type(each): each for each in objects})

    def start(self) -> None:
        """Start the background work; after the fork, never before."""
        for loop in self.loops:
            loop.start()
        for start in self.starters:
            start()

    def close(self) -> None:
        """Stop the loops, then close what they and the views used, last opened first."""
        deadline = monotonic_seconds() + STOP_TIMEOUT.total_seconds()
        for loop in self.loops:
            loop.stop(timedelta())  # tell all of them before waiting for any
        for loop in self.loops:
            loop.stop(timedelta(seconds=max(0.0, deadline - monotonic_seconds())))
        for close in reversed(self.closers):
            close()
