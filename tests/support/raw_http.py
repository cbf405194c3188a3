"""Requests exactly as written: clients of better manners would correct them on the way."""

import http.client
import socket
from urllib.parse import urlsplit

from tests.support.http import Api


def raw_get(api: Api, target: str) -> tuple[int, bytes]:
    """GET a target without touching its percent signs; return status and body."""
    connection = _connection(api)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class SlowReader:
    """A client with a small buffer that reads its answer when told to.

    What it has not read soon fills the buffers on the way, and the service waits.
    """

    def __init__(self, api: Api, target: str) -> None:
        self._connection = _connection(api)
        parts = urlsplit(api.url)
        self._connection.sock = socket.socket()
        self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._connection.sock.settimeout(30)
        self._connection.sock.connect((parts.hostname, parts.port))
        self._connection.request("GET", target, headers=dict(api.shown))
        self._response = self._connection.getresponse()

    @property
    def headers(self) -> http.client.HTTPMessage:
        """Headers of the answer."""
        return self._response.headers

    def read_line(self) -> bytes:
        """Return the next line of the body."""
        return self._response.readline()

    def read_rest(self) -> bytes:
        """Return the rest of the body.

        Raises:
            http.client.IncompleteRead: the connection ended without the final chunk.
        """
        return self._response.read()

    def close(self) -> None:
        """Hang up."""
        self._response.close()
        self._connection.close()


def _connection(api: Api) -> http.client.HTTPConnection:
    parts = urlsplit(api.url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
