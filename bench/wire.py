"""The light load generator for small requests: one thread, one epoll, and bytes that are made beforehand.

A client library costs more processor time per request than the service does; on a machine that both
share it would be measured instead. This one knows just enough of HTTP/1.1 to find the end of an answer
that announces its length.
"""

import itertools
import re
import select
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bench.load import REQUEST_SECONDS, Load, Request
from datastorage.platform.clock import monotonic_seconds

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class WireTarget:
    """The service, or another server of HTTP; answers have to announce their length.

    Attributes:
        url: where it is.
        work: requests, taken in turn.
        shown: further lines of each head.
        success: how the answers begin that count.
        ca_file: vouches for a server that speaks TLS.
    """

    url: str
    work: Sequence[Request]
    shown: str = ""
    success: bytes = b"HTTP/1.1 2"
    ca_file: Path | None = None

    def drive(self, clients: int, seconds: float) -> Load:
        """Keep so many connections busy for so long, each with one request at a time."""
        host = urlsplit(self.url).netloc
        sent = itertools.cycle([_encoded(request, host, self.shown) for request in self.work])
        tls = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        connections = [_Connection(self.url, self.success, tls) for _ in range(clients)]
        for connection in connections:
            connection.send(next(sent))  # the first one connects, plans and fills caches
        for connection in connections:
            connection.finish()
        return _loop(connections, sent, seconds)


def _encoded(request: Request, host: str, shown: str) -> bytes:
    body = request.body or b""
    head = (
        f"{request.method} {request.path} HTTP/1.1\r\nHost: {host}\r\n"
        f"{shown}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(slots=True)
class _Connection:
    """One client: it sends a request when the answer to the one before is complete."""

    url: str
    success: bytes
    tls: ssl.SSLContext | None
    peer: socket.socket = field(init=False)
    received: bytes = b""
    expected_bytes: int = 0
    sent_at: float = 0.0

    def __post_init__(self) -> None:
        self._connect()

    def _connect(self) -> None:
        parts = urlsplit(self.url)
        self.peer = socket.create_connection((parts.hostname, parts.port), timeout=REQUEST_SECONDS)
        self.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls is not None:
            self.peer = self.tls.wrap_socket(self.peer, server_hostname=parts.hostname)

    def send(self, data: bytes) -> None:
        """Send a request."""
        self.received, self.expected_bytes = b"", 0
        self.sent_at = monotonic_seconds()
        self.peer.sendall(data)

    def receive(self) -> bool | None:
        """Take what has come; tell whether the answer is a success once it is complete."""
        data = self.peer.recv(_CHUNK_BYTES)
        while isinstance(self.peer, ssl.SSLSocket) and self.peer.pending():
            data += self.peer.recv(_CHUNK_BYTES)  # epoll knows nothing of what is decrypted
        self.received = self.received + data if self.received else data
        if not self.expected_bytes:
            head_bytes = self.received.find(b"\r\n\r\n") + 4
            length = _LENGTH.search(self.received, 0, head_bytes) if head_bytes > 4 else None  # noqa: PLR2004
            self.expected_bytes = head_bytes + int(length[1]) if length else 0
        if data and (not self.expected_bytes or len(self.received) < self.expected_bytes):
            return None
        return bool(data) and self.received.startswith(self.success)

    def finish(self) -> None:
        """Wait for the answer; a connection that was closed is opened again."""
        while (succeeded := self.receive()) is None:
            pass
        if not succeeded:
            self.peer.close()
            self._connect()


def _loop(connections: Sequence[_Connection], sent: Iterator[bytes], seconds: float) -> Load:
    by_descriptor = {connection.peer.fileno(): connection for connection in connections}
    latencies_ms: list[float] = []
    failed = 0
    started = monotonic_seconds()
    with select.epoll() as poll:
        for connection in connections:
            connection.send(next(sent))
            poll.register(connection.peer, select.EPOLLIN)
        while by_descriptor:
            for descriptor, _ in poll.poll(REQUEST_SECONDS):
                connection = by_descriptor[descriptor]
                succeeded = connection.receive()
                if succeeded is None:
                    continue
                now = monotonic_seconds()
                if succeeded:
                    latencies_ms.append((now - connection.sent_at) * 1000)
                    if now < started + seconds:
                        connection.send(next(sent))
                        continue
                failed += not succeeded
                # A client that was refused or cut off stays away: its failure is in the result.
                del by_descriptor[descriptor]
                poll.unregister(descriptor)
                connection.peer.close()
    return Load(latencies_ms, failed, monotonic_seconds() - started)
