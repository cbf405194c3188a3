"""Threads that wait a moment for the next request of the client they have just answered.

gunicorn's threaded worker hands a kept-alive connection back to its main loop after every answer, and from
there to a thread again: that costs more than Flask does. A busy client sends its next request within
milliseconds, so the thread waits that long itself, as long as nobody needs it more.
"""

import select
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, Final

LINGER_MILLISECONDS: Final = 20
"""Long enough for the next request of a busy client, short beside what anybody would notice."""
FREE_THREADS: Final = 4
"""So many threads of a worker never linger: a new connection finds one at once."""


class Lingering:
    """Decides whether a thread may stay with a connection, and does the waiting.

    Args:
        pool: whose threads they are.
        threads: how many it has.
    """

    def __init__(self, pool: ThreadPoolExecutor, threads: int) -> None:
        self._pool = pool
        # A queue counts in C; a Semaphore is Python behind a lock that all threads want at every request.
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(threads - FREE_THREADS):
            self._places.put(None)

    def sees_next_request(self, conn: Any) -> bool:
        """Return whether the next request on ``conn`` begins to arrive while its thread can be spared."""
        if conn.parser.unreader.buf.tell():
            # Read together with the request before: the socket will not become readable for it.
            return not self._is_wanted()
        if self._is_wanted():
            return False
        try:
            self._places.get_nowait()
        except Empty:
            return False
        try:
            poll = select.poll()
            poll.register(conn.sock, select.POLLIN)
            return bool(poll.poll(LINGER_MILLISECONDS)) and not self._is_wanted()
        finally:
            self._places.put(None)

    def _is_wanted(self) -> bool:
        # Work that waits in the pool means that every thread is taken: those who wait come first.
        return not self._pool._work_queue.empty()  # noqa: SLF001 - the pool tells it nobody else
