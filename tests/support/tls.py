"""A certificate authority for one test, and TLS in front of a server that speaks none.

The embedded Redis and PostgreSQL are built without TLS. The terminator takes TLS and plain connections
at one port, so that a Sentinel without TLS can watch a master whose clients come by TLS.
"""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import trustme

from tests.support.http import Api
from tests.support.raw_exchange import opened

_HANDSHAKE: Final = b"\x16"
"""First byte of a TLS connection."""
_SSL_REQUEST: Final = (8).to_bytes(4) + (80877103).to_bytes(4)
"""What a client of PostgreSQL sends first; the server says S when it has TLS."""


@dataclass(frozen=True)
class Pair:
    """Files of a certificate and its key."""

    cert: Path
    key: Path


class Authority:
    """Issues certificates below ``directory``; ``ca_file`` vouches for them."""

    def __init__(self, directory: Path, name: str = "test") -> None:
        self._ca = trustme.CA(organization_name=name)
        self._directory = directory
        self._name = name
        self.ca_file = directory / f"{name}-ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca_file))

    def client(self, pair: Pair | None = None) -> ssl.SSLContext:
        """Return what a client needs that trusts this authority, and shows ``pair`` when it is asked."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        if pair is not None:
            context.load_cert_chain(pair.cert, pair.key)
        return context

    def issue(self, *names: str, common_name: str | None = None, not_after: datetime | None = None) -> Pair:
        """Return a certificate for host names, addresses or, by ``common_name``, a client.

        It replaces the one that was issued for the same names before.
        """
        issued = self._ca.issue_cert(*names, common_name=common_name, not_after=not_after)
        pair = self._files_for(*names)
        pair.cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        pair.key.touch(mode=0o600)
        pair.key.write_bytes(issued.private_key_pem.bytes())
        return pair

    def key_of(self, *names: str) -> Path:
        """Return the file of the key that was issued for these names."""
        return self._files_for(*names).key

    def _files_for(self, *names: str) -> Pair:
        stem = f"{self._name}-{'-'.join(names)}".replace(":", "_").replace("@", "_")
        return Pair(self._directory / f"{stem}.crt", self._directory / f"{stem}.key")


def certificate_of(api: Api) -> bytes:
    """Return the certificate that a service shows to a new connection."""
    with opened(api) as connection:
        assert isinstance(connection, ssl.SSLSocket)
        return connection.getpeercert(binary_form=True) or b""


@contextmanager
def terminated(port: int, pair: Pair, client_ca: Path | None = None) -> Iterator[int]:
    """Yield a port on 127.0.0.1 that leads to ``port`` by TLS; with ``client_ca`` clients show theirs."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=_accept, args=(listener, port, context), daemon=True)
        accepting.start()
        yield listener.getsockname()[1]
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


def _accept(listener: socket.socket, port: int, context: ssl.SSLContext) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, port, context), daemon=True).start()


def _serve(client: socket.socket, port: int, context: ssl.SSLContext) -> None:
    with suppress(OSError), client, socket.create_connection(("127.0.0.1", port)) as server:
        first = client.recv(len(_SSL_REQUEST), socket.MSG_PEEK)
        if first == _SSL_REQUEST:
            client.recv(len(_SSL_REQUEST))
            client.sendall(b"S")
        if first == _SSL_REQUEST or first.startswith(_HANDSHAKE):
            with context.wrap_socket(client, server_side=True) as encrypted:
                _exchange(encrypted, server)
        else:
            _exchange(client, server)


def _exchange(client: socket.socket, server: socket.socket) -> None:
    backwards = threading.Thread(target=_copy, args=(server, client), daemon=True)
    backwards.start()
    _copy(client, server)
    backwards.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
