"""Clients without manners, hundreds at a time: they stall, drip, or hardly read, and come back when cut off.

They come from many loopback addresses, so that the limits of an address hit them and no innocent client of
127.0.0.1.
"""

import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Final, Self

TICK_SECONDS: Final = 1.0
MOST_OPENED: Final = 400
"""Connections that are opened again in one tick."""
PER_ADDRESS: Final = 100
SMALL_BUFFER: Final = 4096


@dataclass(frozen=True)
class Manners:
    """How a connection behaves.

    Args:
        opening: what it sends at once.
        drip: what it sends in every tick.
        reads_bytes: how much of an answer it takes in every tick.
    """

    opening: bytes = b""
    drip: bytes = b""
    reads_bytes: int = SMALL_BUFFER


class Crowd:
    """Connections that behave alike; ``with`` returns when all are open."""

    _range = 1

    def __init__(self, port: int, number: int, manners: Manners) -> None:
        self.answers: Counter[int] = Counter()
        """Statuses that came back."""
        self.opened = 0
        """Connections so far; more than there are, when some were hung up on."""
        self.closed = 0
        """How many were hung up on."""
        self._port, self._number, self._manners = port, number, manners
        self._connections: list[socket.socket] = []
        self._unanswered: set[int] = set()
        self._stopping = Event()
        Crowd._range += 1
        self._addresses = _addresses(Crowd._range)
        self._thread = Thread(target=self._run, name="crowd")

    def __enter__(self) -> Self:
        while len(self._connections) < self._number:
            self._open()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        for connection in self._connections:
            connection.close()

    def _open(self) -> None:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        connection.settimeout(10)
        try:
            connection.bind((next(self._addresses), 0))
            connection.connect(("127.0.0.1", self._port))
            connection.sendall(self._manners.opening)
        except OSError:
            connection.close()
            return
        connection.setblocking(False)
        self._connections.append(connection)
        self._unanswered.add(connection.fileno())
        self.opened += 1

    def _run(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            begun = monotonic()
            kept = [each for each in self._connections if self._goes_on(each)]
            self.closed += len(self._connections) - len(kept)
            self._connections = kept
            for _ in range(min(MOST_OPENED, self._number - len(kept))):
                if self._stopping.is_set() or monotonic() - begun > TICK_SECONDS:
                    break
                self._open()

    def _goes_on(self, connection: socket.socket) -> bool:
        """Send and read a little; whoever is hung up on or refused comes back on another connection."""
        try:
            if self._manners.drip:
                connection.send(self._manners.drip)
            received = connection.recv(self._manners.reads_bytes)
        except BlockingIOError:
            return True
        except OSError:
            received = b""
        is_kept = bool(received)
        if connection.fileno() in self._unanswered and received.startswith(b"HTTP/1.1 "):
            status = int(received[9:12])
            self.answers[status] += 1
            is_kept = status == HTTPStatus.OK
        self._unanswered.discard(connection.fileno())
        if not is_kept:
            connection.close()
        return is_kept


def _addresses(number: int) -> Iterator[str]:
    """Yield loopback addresses, each for as many connections as one client may have."""
    count = 0
    while True:
        host = count // PER_ADDRESS
        yield f"127.{number % 250 + 1}.{host // 250 % 250}.{host % 250 + 1}"
        count += 1
