"""Bytes in, answer out: for what no HTTP client would send."""

import socket
import time
from collections.abc import Mapping
from email.parser import BytesParser
from typing import Any, Final, Self
from urllib.parse import urlsplit

from urllib3 import HTTPHeaderDict

from tests.support.http import Answer, Api


def exchange(api: Api, sent: bytes) -> Answer:
    """Send bytes on a connection of their own, and return everything until the service hangs up."""
    with opened(api) as connection:
        connection.sendall(sent)
        return answer_in(everything(connection))


HOST: Final = b"Host: localhost\r\n"


def opened(api: Api) -> socket.socket:
    """Return a connection to the service, by TLS where it speaks that.

    Where callers have to be known, who calls is sent behind the host of each request.
    """
    connection = connected(api)
    if api.tls is not None:
        return api.tls.wrap_socket(connection, server_hostname=urlsplit(api.url).hostname)
    return _Showing.over(connection, api.shown) if api.shown else connection


def connected(api: Api) -> socket.socket:
    """Return a connection on which nothing has been said."""
    parts = urlsplit(api.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


class _Showing(socket.socket):
    """A connection that says who calls."""

    shown = b""

    @classmethod
    def over(cls, plain: socket.socket, shown: Mapping[str, str]) -> Self:
        """Take a connection over."""
        showing = cls(plain.family, plain.type, plain.proto, plain.detach())
        showing.settimeout(30)
        showing.shown = b"".join(f"{name}: {value}\r\n".encode() for name, value in shown.items())
        return showing

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        super().sendall(data.replace(HOST, HOST + self.shown), flags)


def everything(connection: socket.socket) -> bytes:
    """Return what comes until the service hangs up."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def dripped(connection: socket.socket, pieces: list[bytes], *, pause_seconds: float) -> bytes:
    """Send piece by piece until the service hangs up, then nothing more; return everything it said."""
    received = b""
    connection.settimeout(pause_seconds)
    for piece in pieces:
        connection.sendall(piece)
        begun = time.monotonic()
        try:
            said = connection.recv(65536)
        except TimeoutError:
            continue
        if not said:
            return received
        received += said
        time.sleep(max(0.0, begun + pause_seconds - time.monotonic()))
    connection.settimeout(30)
    return received + everything(connection)


def answer_in(received: bytes) -> Answer:
    """Return the answer in the bytes of a response."""
    head, _, body = received.partition(b"\r\n\r\n")
    status_line, _, header_lines = head.partition(b"\r\n")
    headers = BytesParser().parsebytes(header_lines, headersonly=True)
    return Answer(int(status_line.split()[1]), HTTPHeaderDict(headers.items()), body)
