"""A TCP proxy that misbehaves on demand: between the service and PostgreSQL, or Redis."""

import socket
import struct
import threading
from contextlib import suppress
from enum import Enum, auto

CHUNK_BYTES = 65536
COMMIT = b"COMMIT\x00"


class Mode(Enum):
    """What the proxy does with what passes through it."""

    PASS = auto()
    REFUSE = auto()
    """Close every connection at once, old and new."""
    BLACK_HOLE = auto()
    """Accept and read, and never pass anything on."""
    LOSE_COMMIT_ANSWER = auto()
    """Pass a COMMIT to the server, wait for its answer, and reset the client instead of telling it."""
    LOSE_ONE_COMMIT_ANSWER = auto()
    """The same for the next COMMIT only."""


LOSE = {Mode.LOSE_COMMIT_ANSWER, Mode.LOSE_ONE_COMMIT_ANSWER}


class Proxy:
    """Forwards 127.0.0.1:``port`` to a server; ``mode`` may change at any time, and ``server_port``."""

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._mode = Mode.PASS
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def mode(self) -> Mode:
        """What happens to bytes right now."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        if mode is Mode.REFUSE:
            self.reset_all()

    def reset_all(self) -> None:
        """Reset every connection that is open now."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for client, server in pairs:
            _reset(client)
            _reset(server)

    def close(self) -> None:
        """Stop listening and reset everything."""
        self._listener.close()
        self.reset_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._mode is Mode.REFUSE:
                _reset(client)
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.server_port))
            except OSError:
                _reset(client)
                continue
            with self._lock:
                self._pairs.append((client, server))
            threading.Thread(target=self._to_server, args=(client, server), daemon=True).start()
            threading.Thread(target=self._to_client, args=(client, server), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(CHUNK_BYTES):
                if self._mode is Mode.BLACK_HOLE:
                    continue
                server.sendall(data)
                if self._mode in LOSE and COMMIT in data:
                    server.settimeout(5)
                    with suppress(OSError):  # the other thread may have met the answer first
                        server.recv(1, socket.MSG_PEEK)
                    self._lose(client)
                    _reset(server)
                    return
        _reset(server)

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(CHUNK_BYTES):
                if self._mode is Mode.BLACK_HOLE:
                    continue
                if self._mode in LOSE and COMMIT in data:
                    self._lose(client)
                    return
                client.sendall(data)
        _reset(client)

    def _lose(self, client: socket.socket) -> None:
        _reset(client)
        if self._mode is Mode.LOSE_ONE_COMMIT_ANSWER:
            self._mode = Mode.PASS


def _reset(end: socket.socket) -> None:
    """Close with a reset instead of a farewell, and wake whoever waits on it."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        end.close()
