"""The worker class: gunicorn's threaded worker, with lanes and with our words in its errors.

Connections on the metrics port run in a lane of their own, so a saturated API never delays a scrape or
a probe there. Errors that gunicorn finds before there is a request become problem documents.
"""

import logging
import signal
import socket
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

from gunicorn.http import errors as http_errors
from gunicorn.workers.gthread import TConn, ThreadWorker

from datastorage.platform.web import json
from datastorage.platform.web.problems import FORCE_CLOSE, KINDS, MEDIA_TYPE, document

logger = logging.getLogger(__name__)

METRICS_LANE_THREADS = 2

_SLUGS: tuple[tuple[type[Exception], str, str], ...] = (
    (http_errors.LimitRequestLine, "uri-too-long", "the request line is too long"),
    (
        http_errors.LimitRequestHeaders,
        "request-header-fields-too-large",
        "a request header, or all of them together, are too large",
    ),
    (http_errors.ParseException, "validation-error", "the request is not valid HTTP"),
)


class LaneWorker(ThreadWorker):  # type: ignore[misc] # gunicorn has no annotations
    """``gthread`` with two lanes: one for the API, one for metrics and probes."""

    inherited_signals: SimpleQueue[int]
    """The arbiter's signals as they were at the fork."""

    def init_process(self) -> None:
        """Open the second lane after the fork."""
        self.metrics_pool = ThreadPoolExecutor(METRICS_LANE_THREADS, thread_name_prefix="metrics")
        super().init_process()

    def init_signals(self) -> None:
        """Also heed a SIGTERM that came between the fork and now.

        It went into the worker's copy of the arbiter's queue, where nobody reads: the arbiter would wait
        for this worker until the end of the drain and then kill it.
        """
        super().init_signals()
        while not self.inherited_signals.empty():
            if self.inherited_signals.get_nowait() == signal.SIGTERM:
                self.alive = False

    def is_parent_alive(self) -> bool:
        """Begin to stop when the arbiter is gone.

        gunicorn leaves its main loop and then serves kept-alive connections as if nothing had happened, with
        the ports still held: as long as clients go on, up to the graceful timeout, no successor can bind.
        """
        if super().is_parent_alive():
            return True
        self.alive = False
        return False

    def load_wsgi(self) -> None:
        """Hand the application a way to close a connection: it may not set that header itself."""
        super().load_wsgi()
        application: Callable[..., Iterable[bytes]] = self.wsgi  # type: ignore[has-type]

        def closable(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            response = start_response.__self__  # type: ignore[attr-defined] # gunicorn passes a bound method
            environ[FORCE_CLOSE] = response.force_close
            return application(environ, start_response)

        self.wsgi = closable

    def enqueue_req(self, conn: TConn) -> None:
        """Choose the lane by the port the client connected to."""
        on_metrics_port = isinstance(conn.server, tuple) and conn.server[1] == self._metrics_port
        lane = self.metrics_pool if on_metrics_port else self.tpool
        handled: Future[Any] = lane.submit(self.handle, conn)
        handled.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    @property
    def _metrics_port(self) -> int:
        # The second of our two binds; getattr keeps a worker with one bind working.
        return int(self.cfg.address[1][1]) if len(self.cfg.address) > 1 else 0

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer what never became a request with a problem document, and close."""
        slug, detail = _slug_of(exc)
        request_id = f"req-{uuid.uuid4().hex}"
        if slug == "internal-error":
            logger.error("Request handling failed", exc_info=exc, extra={"request_id": request_id})
        else:
            remote = addr[0] if addr else ""
            extra = {"slug": slug, "remote_addr": remote, "request_id": request_id}
            logger.warning("Malformed HTTP refused", extra=extra)
        members = {"field_errors": {"body": detail}} if KINDS[slug].status == 400 else {}  # noqa: PLR2004
        problem = document(
            slug, detail, instance=getattr(req, "path", "") or "", request_id=request_id, **members
        )
        _send(client, slug, json.encode(problem), request_id)


def _slug_of(error: Exception) -> tuple[str, str]:
    # A header that the application tried to send is our fault, although its class says otherwise.
    ours = (http_errors.InvalidResponseHeader, http_errors.InvalidResponseHeaderName)
    if not isinstance(error, ours):
        for cls, slug, detail in _SLUGS:
            if isinstance(error, cls):
                return slug, detail
    return "internal-error", "internal error - the log has it under this request id"


def _send(client: socket.socket, slug: str, body: bytes, request_id: str) -> None:
    kind = KINDS[slug]
    head = (
        f"HTTP/1.1 {kind.status} {kind.title}\r\n"
        f"Connection: close\r\n"
        f"Content-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\n"
        f"X-Request-ID: {request_id}\r\n\r\n"
    )
    try:
        client.sendall(head.encode("ascii") + body)
    except OSError:
        logger.debug("Client went away before its error could be sent")
