"""Requests that wait for a thread of their class, without one.

Reads hold at most a part of a worker's threads, so that slow ones never stop writes. Whoever came first is
served first, but a read whose class is full is passed over. A thread that is done starts the next request
itself: by way of the main thread each would wait once more for the interpreter.
"""

from collections import deque
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, NamedTuple

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.request_class import RequestClass


class ClassLimits(NamedTuple):
    """What one class of requests may have.

    Attributes:
        threads: how many it may hold.
        wait_seconds: how long a request may wait for one.
    """

    threads: int
    wait_seconds: float


class ThreadQueue:
    """The requests of one worker that wait; all methods are safe in every thread.

    Args:
        limits: of each class; the one that may hold most may hold all threads.
        start: gives a connection to a free thread.
    """

    def __init__(self, limits: Mapping[RequestClass, ClassLimits], start: Callable[[Any], None]) -> None:
        self._limits = limits
        self._start = start
        self._free = max(limit.threads for limit in limits.values())
        self._free_of = {each: limit.threads for each, limit in limits.items()}
        self._waiting: dict[RequestClass, deque[tuple[float, Any]]] = {each: deque() for each in limits}
        self._lock = Lock()

    @property
    def has_waiting(self) -> bool:
        """Whether a request waits."""
        return any(self._waiting.values())

    def waiting(self, request_class: RequestClass) -> int:
        """Return how many requests of a class wait."""
        return len(self._waiting[request_class])

    def add(self, conn: Any) -> None:
        """Start the request that has arrived on ``conn``, or let it wait for its turn."""
        with self._lock:
            self._waiting[conn.request_class].append((monotonic_seconds(), conn))
            ready = self._take_next()
        if ready is not None:
            self._start(ready)

    def finish(self, request_class: RequestClass) -> None:
        """Note that a thread is free again, and give it to the next request."""
        with self._lock:
            self._free += 1
            self._free_of[request_class] += 1
            ready = self._take_next()
        if ready is not None:
            self._start(ready)

    def expired(self) -> list[Any]:
        """Take out and return the connections whose requests have waited too long."""
        now, found = monotonic_seconds(), []
        with self._lock:
            for each, waiting in self._waiting.items():
                while waiting and waiting[0][0] + self._limits[each].wait_seconds <= now:
                    found.append(waiting.popleft()[1])
        return found

    def _take_next(self) -> Any | None:
        """Return the connection that has waited longest among those whose class has a thread."""
        now = monotonic_seconds()
        heads = [
            (waiting[0][0], each)
            for each, waiting in self._waiting.items()
            # One that has waited too long is refused, even if a thread becomes free at the same moment.
            if waiting and self._free_of[each] and waiting[0][0] + self._limits[each].wait_seconds > now
        ]
        if not heads or not self._free:
            return None
        since, request_class = min(heads)
        _, conn = self._waiting[request_class].popleft()
        conn.waited_seconds += now - since  # for the second time, if its head was judged before its body came
        self._free -= 1
        self._free_of[request_class] -= 1
        return conn
