"""Threads that wait a moment for the next request of the client they have just answered.

gunicorn's threaded worker hands a kept-alive connection back to its main loop after every answer, and from
there to a thread again: that costs more than Flask does. A busy client sends its next request soon, so the
thread waits for it, as long as nobody needs it more. It waits by reading: to be told first that there is
something to read would be one more call of the system, and one more wait for the interpreter.
"""

from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Final

from datastorage.platform.server.arrival import Stage
from datastorage.platform.server.body_budget import SMALL_BODY_BYTES
from datastorage.platform.server.slow_clients import PatientConnection

KEEP_ALIVE_SHARE: Final = 5 / 8
"""Of a worker's threads; the others never do, so that a new connection finds one at once."""


class KeepAlive:
    """Decides whether a thread may stay with a connection, and does the waiting.

    Args:
        pool: whose threads they are.
        threads: how many it has.
    """

    def __init__(self, pool: ThreadPoolExecutor, threads: int) -> None:
        self._pool = pool
        # A queue counts in C; a Semaphore is Python behind a lock that all threads want at every request.
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(int(threads * KEEP_ALIVE_SHARE)):
            self._places.put(None)

    def sees_next_request(self, conn: PatientConnection) -> bool:
        """Return whether the next request on ``conn`` arrives, complete, while its thread can be spared.

        Its beginning may have been read even if not: the main thread waits for the rest.
        """
        arrival = conn.arrival
        if arrival.holds_turn or arrival.reserved_bytes > SMALL_BODY_BYTES:
            return False  # the main thread gives that back
        if arrival.stage is not Stage.COMPLETE and not self._is_wanted():
            self._read_more(conn)
        is_small = arrival.body_bytes <= SMALL_BODY_BYTES and not arrival.is_chunked
        return arrival.stage is Stage.COMPLETE and is_small and not self._is_wanted()

    def _read_more(self, conn: PatientConnection) -> None:
        try:
            self._places.get_nowait()
        except Empty:
            return
        try:
            conn.arrival.take(conn.parser.unreader.read_ahead())
        finally:
            self._places.put(None)

    def _is_wanted(self) -> bool:
        # Work that waits in the pool means that every thread is taken: those who wait come first.
        return not self._pool._work_queue.empty()  # noqa: SLF001 - the pool tells it nobody else
