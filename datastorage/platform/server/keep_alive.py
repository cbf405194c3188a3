"""Threads that wait a moment for the next request of the client they have just answered.

gunicorn's threaded worker hands a kept-alive connection back to its main loop after every answer, and from
there to a thread again, which costs more than Flask does. A busy client sends its next request soon, so the
thread waits for it unless other work is waiting. It waits by reading: a poll before that would be another
system call and another wait for the interpreter.
"""

from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Barrier
from typing import Final

from datastorage.platform.server.arrival import Stage
from datastorage.platform.server.body_budget import SMALL_BODY_BYTES
from datastorage.platform.server.slow_clients import PatientConnection

KEEP_ALIVE_SHARE: Final = 5 / 8
"""Share of a worker's threads that may wait; the others are free for new connections."""


def start_all(pool: ThreadPoolExecutor, threads: int) -> None:
    """Start all threads of a pool now; left alone, it starts one whenever a task finds none free."""
    together = Barrier(threads + 1)
    for _ in range(threads):
        pool.submit(together.wait)
    together.wait()


class KeepAlive:
    """Decides whether a thread may stay with a connection, and does the waiting.

    Args:
        threads: how many a worker has for the API.
    """

    def __init__(self, threads: int) -> None:
        # A queue counts in C; a Semaphore is Python code behind a lock that all threads need all the time.
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(int(threads * KEEP_ALIVE_SHARE)):
            self._places.put(None)

    def sees_next_request(self, conn: PatientConnection, pool: ThreadPoolExecutor) -> bool:
        """Return whether a complete next request arrives on ``conn`` while a thread of ``pool`` can wait.

        Even if not, its beginning may have been read: the main thread waits for the rest.
        """
        arrival = conn.arrival
        if arrival.holds_turn or arrival.reserved_bytes > SMALL_BODY_BYTES:
            return False  # only the main thread can release these
        if arrival.stage is not Stage.COMPLETE and not _is_wanted(pool):
            self._read_more(conn)
        is_small = arrival.body_bytes <= SMALL_BODY_BYTES and not arrival.is_chunked
        return arrival.stage is Stage.COMPLETE and is_small and not _is_wanted(pool)

    def _read_more(self, conn: PatientConnection) -> None:
        try:
            self._places.get_nowait()
        except Empty:
            return
        try:
            conn.arrival.take(conn.parser.unreader.read_ahead())
        finally:
            self._places.put(None)


def _is_wanted(pool: ThreadPoolExecutor) -> bool:
    # Queued work means that every thread is busy, and that a connection waits for one.
    return not pool._work_queue.empty()  # noqa: SLF001 - there is no public way to ask
