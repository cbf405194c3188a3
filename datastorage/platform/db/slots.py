"""Places for requests that hold a connection: one for each, and for reads not all of them.

A pool of threads waits at one timeout; here each request has its own. There are as many places as connections
in the pool, so a request that has one never waits inside the pool.
"""

from queue import Empty, SimpleQueue

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.request_class import RequestClass, standing_of_request

# A queue counts in C; a semaphore is Python code behind a lock that all threads need all the time.
_Places = SimpleQueue[None]
Held = tuple[_Places, ...]


class Slots:
    """The places of one process.

    Args:
        share: connections of this process.
        reads: how many of them requests of class ``read`` may hold.
    """

    def __init__(self, share: int, reads: int) -> None:
        self._all = _places(share)
        self._of_class: dict[RequestClass, Held] = dict.fromkeys(RequestClass, (self._all,))
        if reads < share:
            self._of_class[RequestClass.READ] = (_places(reads), self._all)

    def take(self, seconds: float) -> Held:
        """Return a place for ``give_back``, or nothing if none was free in time.

        A read has waited for its thread already, and waits so much less here.
        """
        request_class, waited_seconds = standing_of_request.get()
        if request_class is RequestClass.READ and waited_seconds:
            seconds = max(0.0, seconds - waited_seconds)
        deadline = monotonic_seconds() + seconds
        taken: Held = ()
        for each in self._of_class[request_class]:
            try:
                each.get(timeout=max(0.0, deadline - monotonic_seconds()))
            except Empty:
                self.give_back(taken)
                return ()
            taken += (each,)
        return taken

    @staticmethod
    def give_back(taken: Held) -> None:
        """Release what ``take`` returned."""
        for each in reversed(taken):
            each.put(None)


def _places(number: int) -> _Places:
    places = _Places()
    for _ in range(number):
        places.put(None)
    return places
