"""Between gunicorn and the application: facts for the request, and whether its connection can go on."""

import logging
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Any

from datastorage.platform.server.held import TAKER, ConnectionTaken, Taker
from datastorage.platform.server.slow_clients import PatientConnection
from datastorage.platform.web.gates import ADMISSION
from datastorage.platform.web.requests import HEAD_ALONE, REFUSAL, ROUTE, UNMATCHED, WAITED_SECONDS

logger = logging.getLogger(__name__)

Application = Callable[..., Iterable[bytes]]


def _part(conn: PatientConnection, response: Any, body: Iterable[bytes], taker: Taker) -> None:
    """Send the head of an answer, and leave the rest to its taker.

    Raises:
        ConnectionTaken: always, unless the client is gone.
    """
    try:
        response.send_headers()
        conn.sock.release()
        taker.keep()
    finally:
        close: Callable[[], None] | None = getattr(body, "close", None)
        if close is not None:
            close()
    raise ConnectionTaken(taker, is_chunked=response.is_chunked())


class Answering:
    """A WSGI application around ours, and the requests that it is answering.

    Args:
        application: ours.
        is_shutting_down: whether connections end with their answers.
    """

    def __init__(self, application: Application, is_shutting_down: Callable[[], bool]) -> None:
        self._application = application
        self._is_shutting_down = is_shutting_down
        self._conns: dict[int, PatientConnection] = {}

    def begin(self, conn: PatientConnection) -> None:
        """Note whose request this thread is about to answer."""
        self._conns[get_ident()] = conn

    def end(self) -> None:
        """Note that this thread is done with it."""
        self._conns.pop(get_ident(), None)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        conn = self._conns[get_ident()]
        response = start_response.__self__  # gunicorn passes a bound method
        environ[REFUSAL] = conn.arrival.refusal
        environ[WAITED_SECONDS] = conn.waited_seconds
        if conn.arrival.is_head_alone:
            environ[HEAD_ALONE] = True
        if conn.admission is not None:
            environ[ADMISSION] = conn.admission
        conn.environ = environ

        def start(*arguments: Any) -> Any:
            # Here and not earlier: the flag may have been raised during the request. Where a body is left
            # that is not here yet, the beginning of the next request cannot be found.
            if not conn.drop_body() or self._is_shutting_down() or TAKER in environ:
                response.force_close()
            conn.sock.hold_next()
            write = start_response(*arguments)
            if response.response_length is None:
                conn.sock.limit_unsent()
            return write

        body = self._application(environ, start)
        taker: Taker | None = environ.get(TAKER)
        has_length = response.response_length is not None
        if taker is not None and not has_length and environ["REQUEST_METHOD"] != "HEAD":
            _part(conn, response, body, taker)
        return body

    def log_unfinished(self) -> None:
        """Log the requests that are about to be cut off."""
        for conn in list(self._conns.values()):
            environ = conn.environ
            extra = {
                "method": environ.get("REQUEST_METHOD"),
                "path": environ.get("PATH_INFO"),
                "route": environ.get(ROUTE, UNMATCHED),
            }
            logger.error("Request still running at the end of the drain", extra=extra)
