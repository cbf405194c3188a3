"""Threads that wait a moment for the next request of the client they have just answered.

gunicorn's threaded worker hands a kept-alive connection back to its main loop after every answer, and from
there to a thread again, which costs more than Flask does. A busy client sends its next request soon, so the
thread waits for it unless other work is waiting. It waits by reading: a poll before that would be another
system call and another wait for the interpreter.
"""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

from datastorage.platform.request_class import RequestClass
from datastorage.platform.server.arrival import Stage
from datastorage.platform.server.body_budget import SMALL_BODY_BYTES
from datastorage.platform.server.slow_clients import PatientConnection

KEEP_ALIVE_SHARE: Final = 5 / 8
"""Share of a worker's threads that may wait; the others are free for new connections."""


class KeepAlive:
    """Decides whether a thread may stay with a connection, and does the waiting.

    Args:
        threads: of the worker.
        reads: how many of them reads may hold.
        is_wanted: whether a request waits for a thread.
    """

    def __init__(self, threads: int, reads: int, is_wanted: Callable[[], bool]) -> None:
        self._is_wanted = is_wanted
        self._places = _places_for(threads)
        self._places_of_reads = _places_for(reads) + self._places

    def sees_next_request(self, conn: PatientConnection) -> bool:
        """Return whether a complete next request arrives on ``conn`` while its thread can be spared.

        Even if not, its beginning may have been read: the main thread waits for the rest.
        """
        arrival = conn.arrival
        if arrival.holds_turn or arrival.reserved_bytes > SMALL_BODY_BYTES:
            return False  # only the main thread can release these
        if arrival.stage is not Stage.COMPLETE and not self._is_wanted():
            self._read_more(conn)
        is_small = arrival.body_bytes <= SMALL_BODY_BYTES and not arrival.is_chunked
        return arrival.stage is Stage.COMPLETE and is_small and not self._is_wanted()

    def _read_more(self, conn: PatientConnection) -> None:
        taken = _take(self._places_of_reads if conn.request_class is RequestClass.READ else self._places)
        if not taken:
            return
        try:
            conn.arrival.take(conn.parser.unreader.read_ahead())
        finally:
            _give_back(taken)


# A queue counts in C; a Semaphore is Python code behind a lock that all threads need all the time.
_Places = tuple[SimpleQueue[None], ...]


def _places_for(threads: int) -> _Places:
    places: SimpleQueue[None] = SimpleQueue()
    for _ in range(int(threads * KEEP_ALIVE_SHARE)):
        places.put(None)
    return (places,)


def _take(wanted: _Places) -> _Places:
    """Return one place of each kind, or nothing if one is missing."""
    for number, places in enumerate(wanted):
        try:
            places.get_nowait()
        except Empty:
            _give_back(wanted[:number])
            return ()
    return wanted


def _give_back(taken: _Places) -> None:
    for places in taken:
        places.put(None)
