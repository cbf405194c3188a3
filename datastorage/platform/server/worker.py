"""The worker class: gunicorn's threaded worker with two lanes, an orderly end, and our problem documents.

Probes and connections to the metrics port run on threads of their own, so a saturated API never delays them;
the threads of the API are shared by class (``thread_queue``). A worker that stops accepts the connections
that are queued and closes its listeners, so that no client waits for an answer that will not come (DD-007).
"""

import logging
import math
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

from gunicorn.workers.gthread import ThreadWorker

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics import Metrics
from datastorage.platform.request_class import RequestClass
from datastorage.platform.server.answering import Answering
from datastorage.platform.server.arrivals import Actions
from datastorage.platform.server.conformance import check_head
from datastorage.platform.server.held import ConnectionTaken, HeldConnection
from datastorage.platform.server.keep_alive import KeepAlive
from datastorage.platform.server.lanes import Lanes, start_all
from datastorage.platform.server.malformed import answer_malformed
from datastorage.platform.server.reception import Reception
from datastorage.platform.server.reports import Levels, Reports
from datastorage.platform.server.shared import InFlightRequests, SharedFlag
from datastorage.platform.server.shares import Share
from datastorage.platform.server.slow_clients import PatientConnection
from datastorage.platform.server.slow_readers import SlowReaders
from datastorage.platform.server.sockets import has_queued
from datastorage.platform.server.thread_queue import ClassLimits
from datastorage.platform.server.tls import ServerTls
from datastorage.platform.server.tls_socket import socket_of
from datastorage.platform.web.current import EXTENSION
from datastorage.platform.web.gates import BodyAwaited, Grounds
from datastorage.settings import ServerSettings

logger = logging.getLogger(__name__)

WRITE_WAIT_SECONDS: Final = 30.0
"""How long a write waits for a thread, at most."""
STOPPING_TICK_SECONDS: Final = 0.2
REPORT_SECONDS: Final = 0.5
"""How long before the end of the drain a worker logs the requests that will be cut off."""


class LaneWorker(ThreadWorker):
    """``gthread`` with two lanes: one for the API, one for metrics and probes.

    The arbiter sets these attributes before the fork.
    """

    server_settings: ServerSettings
    tls: ServerTls | None
    """The certificate, where clients come by TLS."""
    pool_timeout: timedelta
    """How long a read waits for thread and connection, at most."""
    is_shutting_down: SharedFlag
    has_left: SharedFlag
    """Raised by a worker that leaves by itself; one that was killed cannot."""
    in_flight: InFlightRequests
    share: Share
    inherited_signals: SimpleQueue[int]
    """What this process was sent before it had handlers of its own."""
    wsgi: Callable[..., Iterable[bytes]]
    tpool: ThreadPoolExecutor

    def init_process(self) -> None:
        """Make settings cheap to read after the fork."""
        self._report_at = math.inf
        # gunicorn takes three steps to look a setting up, some forty times for each request.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        super().init_process()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Start all threads of the API lane now.

        The pool itself would add one whenever all are busy: threads and memory would grow for days.
        """
        pool: ThreadPoolExecutor = super().get_thread_pool()
        start_all(pool, self.cfg.threads)
        return pool

    def init_signals(self) -> None:
        """Also handle a SIGTERM that came between the fork and now, and leave Ctrl-C to the arbiter.

        That signal was queued by the arbiter's handler, which this process had inherited. If it were lost,
        the arbiter would wait for this worker until the end of the drain and then kill it.
        """
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        while not self.inherited_signals.empty():
            if self.inherited_signals.get_nowait() in {signal.SIGTERM, signal.SIGQUIT}:
                self.handle_exit(signal.SIGTERM, None)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin the drain, after SIGTERM."""
        if self.alive:
            server = self.server_settings
            longest = server.shutdown_total_budget - server.endpoint_propagation_delay
            drain_seconds = min(server.shutdown_timeout, longest).total_seconds()
            self._report_at = monotonic_seconds() + drain_seconds - REPORT_SECONDS
        super().handle_exit(sig, frame)

    def is_parent_alive(self) -> bool:
        """Begin to stop when the arbiter is gone.

        gunicorn would leave its main loop, but go on serving kept-alive connections and hold the ports: up
        to the graceful timeout no successor could bind to them.
        """
        if super().is_parent_alive():
            return True
        self.alive = False
        return False

    def load_wsgi(self) -> None:
        """Stand between gunicorn and the application, and take from it what the server needs to know."""
        super().load_wsgi()
        services = getattr(self.wsgi, "extensions", {}).get(EXTENSION, {})
        self._reports = Reports(services.get(Metrics))
        threads, reads = self.cfg.threads, self.server_settings.share_of_reads(self.cfg.threads)
        limits = {
            RequestClass.READ: ClassLimits(reads, self.pool_timeout.total_seconds()),
            RequestClass.WRITE: ClassLimits(threads, WRITE_WAIT_SECONDS),
        }
        self.lanes = Lanes(self.tpool, limits, services.get(Grounds), self.server_settings.metrics_port)
        self._keep_alive = KeepAlive(threads, reads, lambda: self.lanes.queue.has_waiting)
        self.wsgi = self._answering = Answering(self.wsgi, self.is_shutting_down)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept what is queued and close the listeners when this worker stops.

        Otherwise the kernel would complete a new connection, let it wait for the last worker to exit, and
        then reset it. A client that is refused can go to another pod at once.
        """
        super().set_accept_enabled(enabled)
        if enabled:
            return
        self.share.withdraw()
        if self.alive:
            return
        for listener in (each for each in self.sockets if each.sock is not None):
            while has_queued(listener):
                self.accept(listener)
            listener.close()

    def run(self) -> None:
        """Serve until told to stop; the poller exists only now."""
        server = self.server_settings
        self._open = Counter[bool]()  # by whether they came to the metrics port
        self._slow_readers = SlowReaders(server.slow_readers, server.min_send_rate, self._reports.closed)
        actions = Actions(self.enqueue_req, self._forget, self._reports.closed)
        self.reception = Reception(self.poller, server, self.cfg.keepalive, actions)
        self.lanes.serve(self.handle, partial(self.method_queue.defer, self.finish_request))
        super().run()

    def accept(self, listener: Any) -> None:
        """Accept one connection, unless another worker was faster."""
        server = listener.getsockname()
        if self._accepting and server[1] != self.server_settings.metrics_port:
            self.share.let_others_go_first(lambda: has_queued(listener))
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):  # another worker was faster, or the client is gone
            return
        client.setblocking(True)
        is_for_metrics = server[1] == self.server_settings.metrics_port
        context = None if self.tls is None else self.tls.context(is_for_metrics=is_for_metrics)
        sock = socket_of(client, address[0], self._slow_readers, context)
        conn = PatientConnection(self.cfg, (sock, address), server, self.server_settings)
        self.nr_conns += 1
        self._open[is_for_metrics] += 1
        self.reception.accept(conn)

    def enqueue_req(self, conn: PatientConnection) -> None:
        """Give the request on a connection to a thread of its lane."""
        self.lanes.dispatch(conn)

    def handle(self, conn: PatientConnection) -> Any:
        """Handle a request and those of the same class that follow it closely."""
        is_refused = bool(conn.arrival.refusal)
        keep = self._handle_arrived(conn)
        while keep is True and self.alive and not is_refused and self._may_stay(conn):
            keep = self._handle_arrived(conn)
        return keep

    def _may_stay(self, conn: PatientConnection) -> bool:
        # The main thread awaits bodies. Two threads answer all probes: neither waits for a client's next one.
        if conn.is_body_awaited or conn.request_class is None:
            return False
        is_next = self._keep_alive.sees_next_request(conn)
        return is_next and self.lanes.class_of(conn) is conn.request_class

    def _handle_arrived(self, conn: PatientConnection) -> Any:
        conn.hand_over()
        keep = super().handle(conn) or conn.is_body_awaited
        if conn.taken is not None:
            return False
        if keep is True:
            conn.begin_next()
        elif not (conn.has_unread_body or conn.is_closed or has_queued(conn.sock)):
            conn.close()  # at once: its client may be waiting for that
        return keep

    def finish_request(self, conn: PatientConnection, done: "Future[Any]") -> None:
        """Take a connection back from its thread: to wait for the next request, or to forget it."""
        is_kept = not done.cancelled() and done.exception() is None and done.result() is True
        self.reception.finish(conn, is_kept=is_kept)

    def _forget(self, conn: PatientConnection) -> None:
        self.nr_conns -= 1
        self._open[conn.port == self.server_settings.metrics_port] -= 1
        if conn.taken is None:
            conn.close()
        else:  # it counts here no more
            conn.taken.taker.take(HeldConnection(conn.sock, is_chunked=conn.taken.is_chunked))

    def handle_request(self, req: Any, conn: PatientConnection) -> bool:
        """Count the request while it is worked on, and give its body a deadline of its own."""
        check_head(req)
        req.scheme = conn.sock.scheme
        with self.in_flight.one_more():
            conn.expect_body()
            self._answering.begin(conn)
            try:
                keep: bool = super().handle_request(req, conn)
                conn.sock.release()
            except BodyAwaited as admitted:
                conn.await_body(admitted.admission)
                return False
            except ConnectionTaken as taken:
                conn.taken = taken
                return False
            except BlockingIOError as error:
                # SO_SNDTIMEO: the request is carried out, only its answer is not read.
                logger.info("Client stopped reading its answer", extra={"path": req.path})
                raise StopIteration from error
            finally:
                self._answering.end()
                conn.sock.forget()
                conn.expect_head()
        if not self.alive:
            self.in_flight.drained()
        return keep

    def _keepalive_after(self, conn: PatientConnection, keepalive: bool) -> bool:
        """Return whether another request may follow: nothing is left to read, see ``Answering``."""
        return keepalive and not conn.has_unread_body and not conn.parser.mesg.body.failed

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Return sooner once this worker stops: its end has a deadline."""
        if self._accepting:
            self.share.tell(self.nr_conns)
        if self._reports.are_due:
            self._reports.show(self._levels())
        self._slow_readers.cut(is_thread_wanted=self.lanes.queue.has_waiting)
        super().wait_for_and_dispatch_events(timeout if self.alive else min(timeout, STOPPING_TICK_SECONDS))

    def _levels(self) -> Levels:
        return Levels(
            connections={"api": self._open[False], "metrics": self._open[True]},
            waiting={each: self.lanes.queue.waiting(each) for each in RequestClass},
            body_bytes=self.reception.body_bytes,
            slow_readers=self._slow_readers.count,
        )

    def _cap_keepalive(self, deadline: float) -> None:
        """Give connections that have not sent a head until ``deadline``: this worker stops."""
        self.reception.cap(deadline)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close connections that have waited too long for a request; all of them when this worker ends."""
        if force:
            self.reception.close_without_head()
        else:
            self.reception.expire()

    def murder_pending(self) -> None:
        """Refuse requests that have waited too long for a thread."""
        self.lanes.refuse_expired()

    def notify(self) -> None:
        """Also log, once, the requests that are about to be cut off: only this worker knows them."""
        super().notify()
        if monotonic_seconds() >= self._report_at:
            self._report_at = math.inf
            self._answering.log_unfinished()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer what never became a request with a problem document."""
        answer_malformed(req, client, addr, exc)
