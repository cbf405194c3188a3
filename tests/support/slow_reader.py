"""A client that asks for an export and takes its time."""

import socket

from tests.support.incident_builders import EXPORT
from tests.support.service import ServiceProcess


class SlowReader:
    """An export whose client has read only the first bytes."""

    def __init__(self, service: ServiceProcess) -> None:
        self._socket = socket.create_connection(("127.0.0.1", service.port), timeout=30)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        self._socket.sendall(f"GET {EXPORT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert self._socket.recv(12) == b"HTTP/1.1 200"

    def read_to_the_end(self) -> bytes:
        received = b""
        while part := self._socket.recv(1 << 20):
            received += part
        self.close()
        return received

    def close(self) -> None:
        self._socket.close()
