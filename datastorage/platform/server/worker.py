"""The worker class: gunicorn's threaded worker with two lanes, an orderly end, and our problem documents.

Probes and connections to the metrics port run on threads of their own, so a saturated API never delays them.
A worker that stops accepts the connections that are queued and then closes its listeners, so that no client
waits for an answer that will not come (DD-007).
"""

import logging
import math
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import get_ident
from typing import Any, Final

from gunicorn.workers.gthread import ThreadWorker

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics import Metrics
from datastorage.platform.server.arrivals import Actions, Arrivals, Limits, has_queued
from datastorage.platform.server.body_budget import BodyBudget
from datastorage.platform.server.closings import Closings
from datastorage.platform.server.keep_alive import KeepAlive, start_all
from datastorage.platform.server.malformed import answer_malformed
from datastorage.platform.server.shared import InFlightRequests, SharedFlag
from datastorage.platform.server.shares import Share
from datastorage.platform.server.slow_clients import PatientConnection
from datastorage.platform.web.current import EXTENSION
from datastorage.platform.web.requests import BODY_REFUSAL, FORCE_CLOSE, ROUTE, UNMATCHED
from datastorage.settings import ServerSettings

logger = logging.getLogger(__name__)

METRICS_LANE_THREADS: Final = 2
PROBE_PREFIXES: Final = (b"/health", b"/metrics")
STOPPING_TICK_SECONDS: Final = 0.2
REPORT_SECONDS: Final = 0.5
"""How long before the end of the drain a worker logs the requests that will be cut off."""


class LaneWorker(ThreadWorker):
    """``gthread`` with two lanes: one for the API, one for metrics and probes.

    The arbiter sets these attributes before the fork.
    """

    server_settings: ServerSettings
    is_shutting_down: SharedFlag
    has_left: SharedFlag
    """Raised by a worker that leaves by itself; one that was killed cannot."""
    in_flight: InFlightRequests
    share: Share
    inherited_signals: SimpleQueue[int]
    """What this process was sent before it had handlers of its own."""
    wsgi: Callable[..., Iterable[bytes]]

    def init_process(self) -> None:
        """Open the second lane after the fork."""
        self.metrics_pool = ThreadPoolExecutor(METRICS_LANE_THREADS, thread_name_prefix="metrics")
        start_all(self.metrics_pool, METRICS_LANE_THREADS)
        self._answering: dict[int, dict[str, Any]] = {}
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
        self._keep_alive = KeepAlive(self.cfg.threads)
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
        """Give the application a way to close a connection, since WSGI forbids it to set that header."""
        super().load_wsgi()
        application = self.wsgi
        self.closings = Closings(getattr(application, "extensions", {}).get(EXTENSION, {}).get(Metrics))

        def closable(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            response = start_response.__self__  # gunicorn passes a bound method
            environ[FORCE_CLOSE] = response.force_close
            environ[BODY_REFUSAL] = environ["gunicorn.socket"].refusal
            self._answering[get_ident()] = environ

            def start(*arguments: Any) -> Any:
                # Here and not earlier: the flag may have been raised during the request. After a body that
                # broke off, the beginning of the next request cannot be found.
                if self.is_shutting_down() or environ["wsgi.input"].failed:
                    response.force_close()
                environ["gunicorn.socket"].hold_next()
                return start_response(*arguments)

            return application(environ, start)

        self.wsgi = closable

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
        self._budget = BodyBudget(server.body_budget)
        self._open = Counter[bool]()  # by whether they came to the metrics port
        self.arrivals = Arrivals(
            self.poller,
            Limits(
                silent=self.cfg.keepalive,
                head=server.head_timeout.total_seconds(),
                body=server.read_timeout.total_seconds(),
                connections=server.max_connections,
                connections_per_address=server.max_connections_per_address,
                exempt=server.is_trusted_proxy,
            ),
            self._budget,
            Actions(self.enqueue_req, self._forget, self.closings.count),
        )
        super().run()

    def accept(self, listener: Any) -> None:
        """Accept one connection, unless another worker was faster."""
        server = listener.getsockname()
        if self._accepting and not self._is_for_metrics(server):
            self.share.let_others_go_first(lambda: has_queued(listener))
        try:
            accepted = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):  # another worker was faster, or the client is gone
            return
        self.nr_conns += 1
        self._open[self._is_for_metrics(server)] += 1
        accepted[0].setblocking(True)
        self.arrivals.accept(PatientConnection(self.cfg, accepted, server, self.server_settings))

    def _is_for_metrics(self, server: Any) -> bool:
        return isinstance(server, tuple) and server[1] == self.server_settings.metrics_port

    def enqueue_req(self, conn: PatientConnection) -> None:
        """Give a connection to a thread: of the small lane for probes and for the metrics port."""
        if conn.arrival.refusal == "no_room":
            self.closings.refuse()
        handled: Future[Any] = self._lane_of(conn).submit(self.handle, conn)
        handled.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _lane_of(self, conn: PatientConnection) -> ThreadPoolExecutor:
        is_probe = self._is_for_metrics(conn.server) or conn.arrival.asks_for(PROBE_PREFIXES)
        return self.metrics_pool if is_probe else self.tpool

    def handle(self, conn: PatientConnection) -> Any:
        """Handle a request and those of the same lane that follow it closely.

        A connection that is not kept is closed here: the main thread would wait for the client to hang up.
        """
        lane, is_next = self._lane_of(conn), self._keep_alive.sees_next_request
        keep = self._handle_arrived(conn)
        while keep is True and self.alive and is_next(conn, lane) and self._lane_of(conn) is lane:
            keep = self._handle_arrived(conn)
        if not keep:
            conn.close(graceful=True)
        return keep

    def _handle_arrived(self, conn: PatientConnection) -> Any:
        conn.hand_over()
        keep = super().handle(conn)
        if keep is True:
            conn.begin_next()
        return keep

    def finish_request(self, conn: PatientConnection, done: "Future[Any]") -> None:
        """Take a connection back from its thread: to wait for the next request, or to forget it."""
        self.arrivals.finish(conn)
        if not done.cancelled() and done.exception() is None and done.result() is True:
            self.arrivals.resume(conn)
        else:
            self._forget(conn)

    def _forget(self, conn: PatientConnection) -> None:
        self.arrivals.forget(conn)
        self.nr_conns -= 1
        self._open[self._is_for_metrics(conn.server)] -= 1
        conn.close()

    def handle_request(self, req: Any, conn: PatientConnection) -> bool:
        """Count the request while it is worked on, and give its body a deadline of its own."""
        with self.in_flight.one_more():
            conn.expect_body()
            try:
                keep: bool = super().handle_request(req, conn)
                conn.sock.release()
            except BlockingIOError as error:
                # SO_SNDTIMEO: the request is carried out, only its answer is not read.
                logger.info("Client stopped reading its answer", extra={"path": req.path})
                raise StopIteration from error
            finally:
                self._answering.pop(get_ident(), None)
                conn.sock.forget()
                conn.expect_head()
        if not self.alive:
            self.in_flight.drained()
        return keep

    def _keepalive_after(self, conn: PatientConnection, keepalive: bool) -> bool:
        """Look for the rest of a body only where there can be one."""
        body = conn.parser.mesg.body
        if keepalive and not body.failed and getattr(body.reader, "length", None) == 0:
            return True
        keep: bool = super()._keepalive_after(conn, keepalive)
        return keep

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Return sooner once this worker stops: its end has a deadline."""
        if self._accepting:
            self.share.tell(self.nr_conns)
        self.closings.show(self._open[False], self._open[True], self._budget.in_flight_bytes)
        super().wait_for_and_dispatch_events(timeout if self.alive else min(timeout, STOPPING_TICK_SECONDS))

    def _cap_keepalive(self, deadline: float) -> None:
        """Give connections that have not sent a head until ``deadline``: this worker stops."""
        self.arrivals.cap(deadline)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close connections that have waited too long for a request; all of them when this worker ends."""
        if force:
            self.arrivals.close_without_head()
        else:
            self.arrivals.expire()

    def murder_pending(self) -> None:
        """Do nothing: ``arrivals`` watches all connections."""

    def notify(self) -> None:
        """Also log, once, the requests that are about to be cut off: only this worker knows them."""
        super().notify()
        if monotonic_seconds() < self._report_at:
            return
        self._report_at = math.inf
        for environ in list(self._answering.values()):
            extra = {
                "method": environ["REQUEST_METHOD"],
                "path": environ["PATH_INFO"],
                "route": environ.get(ROUTE, UNMATCHED),
            }
            logger.error("Request still running at the end of the drain", extra=extra)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer what never became a request with a problem document."""
        answer_malformed(req, client, addr, exc)
