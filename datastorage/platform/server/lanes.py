"""Which threads carry a request out: those of its class, those of probes, or those that only refuse.

Probes and connections to the metrics port have a lane of their own, so a saturated API never delays them.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Barrier
from typing import Any, Final

from datastorage.platform.request_class import RequestClass
from datastorage.platform.server.slow_clients import PatientConnection
from datastorage.platform.server.thread_queue import ClassLimits, ThreadQueue
from datastorage.platform.web.gates import Grounds, is_probe
from datastorage.platform.web.requests import NO_THREAD

METRICS_LANE_THREADS: Final = 2
REFUSING_THREADS: Final = 2

Handle = Callable[[PatientConnection], Any]
Finish = Callable[[PatientConnection, "Future[Any]"], None]


def started_pool(threads: int, name: str) -> ThreadPoolExecutor:
    """Return a pool with all of its threads started."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
    start_all(pool, threads)
    return pool


def start_all(pool: ThreadPoolExecutor, threads: int) -> None:
    """Start all threads of a pool now; left alone, it starts one whenever a task finds none free."""
    together = Barrier(threads + 1)
    for _ in range(threads):
        pool.submit(together.wait)
    together.wait()


class Lanes:
    """The threads of one worker.

    Args:
        api: the threads of the API; all of them are started.
        limits: what each class may have of them.
        grounds: what requests are judged by; absent when an application other than ours is served.
        metrics_port: the port that serves metrics and probes only.
    """

    def __init__(
        self,
        api: ThreadPoolExecutor,
        limits: Mapping[RequestClass, ClassLimits],
        grounds: Grounds | None,
        metrics_port: int,
    ) -> None:
        self._grounds = grounds
        self._metrics_port = metrics_port
        self._metrics = started_pool(METRICS_LANE_THREADS, "metrics")
        # Refusals are quick, and need a thread when there is none.
        self._refusals = started_pool(REFUSING_THREADS, "refusals")
        self.queue = ThreadQueue(limits, partial(self._submit, api))
        self._handle: Handle
        self._finish: Finish

    def serve(self, handle: Handle, finish: Finish) -> None:
        """Begin: ``handle`` answers in a thread, which calls ``finish`` afterwards."""
        self._handle, self._finish = handle, finish

    def dispatch(self, conn: PatientConnection) -> None:
        """Give a request to a thread, or let it wait for one of its class; refuse what is given up."""
        conn.request_class = None if conn.arrival.refusal else self.class_of(conn)
        if conn.request_class is not None:
            self.queue.add(conn)
        else:
            self._submit(self._refusals if conn.arrival.refusal else self._metrics, conn)

    def refuse_expired(self) -> None:
        """Refuse requests that have waited too long for a thread."""
        for conn in self.queue.expired():
            conn.arrival.refusal = NO_THREAD
            self.dispatch(conn)

    def class_of(self, conn: PatientConnection) -> RequestClass | None:
        """Return the class of the request that has arrived, ``None`` for probes and the metrics port."""
        method, path, _ = conn.arrival.request_line()
        if conn.port == self._metrics_port or is_probe(path):
            return None
        return self._grounds.routes.request_class(method, path) if self._grounds else RequestClass.WRITE

    def _submit(self, pool: ThreadPoolExecutor, conn: PatientConnection) -> None:
        with suppress(RuntimeError):  # the worker has given its threads up, and ends
            pool.submit(self._handle, conn).add_done_callback(partial(self._done, conn))

    def _done(self, conn: PatientConnection, handled: "Future[Any]") -> None:
        """Start the next request that waits, still in this thread."""
        if conn.request_class is not None:
            self.queue.finish(conn.request_class)
        self._finish(conn, handled)
