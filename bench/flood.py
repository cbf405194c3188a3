"""A client that tries one random token after the other, at a steady rate, whatever it is answered."""

import secrets
import selectors
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from bench.audit_rows import EVENTS
from bench.load import Load
from datastorage.platform.clock import monotonic_seconds

TOKENS_PER_SECOND: Final = 1000
_CONNECTIONS: Final = 20
_TICK_SECONDS: Final = _CONNECTIONS / TOKENS_PER_SECOND
_BODY: Final = b"{}"


@dataclass(frozen=True, slots=True)
class RandomTokens:
    """Requests with tokens that nobody knows; in each tick one is sent on each connection."""

    url: str

    def drive(self, clients: int, seconds: float) -> Load:
        """Send for so long, as one client; answers are read and not looked at."""
        del clients
        parts = urlsplit(self.url)
        started = monotonic_seconds()
        with _connections((parts.hostname or "", parts.port or 0)) as connections:
            for tick in range(int(seconds / _TICK_SECONDS)):
                _send(connections)
                _read_until(connections, started + (tick + 1) * _TICK_SECONDS)
        return Load([], 0, monotonic_seconds() - started)


@contextmanager
def _connections(address: tuple[str, int]) -> Iterator[Sequence[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(address)) for _ in range(_CONNECTIONS)]


def _send(connections: Sequence[socket.socket]) -> None:
    for connection in connections:
        token = secrets.token_urlsafe(32)
        head = f"POST {EVENTS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        connection.sendall(head.encode() + b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY))


def _read_until(connections: Sequence[socket.socket], deadline: float) -> None:
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ, connection)
        while (left := deadline - monotonic_seconds()) > 0:
            for key, _ in selector.select(left):
                assert key.data.recv(1 << 16), "the service hung up"
