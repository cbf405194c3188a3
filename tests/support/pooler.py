"""Poolers between the service and PostgreSQL: the real PgBouncer, and what it says to start-up options."""

import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from tests.support.service import free_port
from tests.support.waiting import eventually

PGBOUNCER: Final = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
HOST = "127.0.0.1"
PROTOCOL_3 = 196608
REFUSAL = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"


@contextmanager
def refusing_options(server_port: int) -> Iterator[int]:
    """Yield a port that leads to the server, unless the start-up packet has ``options``."""
    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=_accept, args=(listener, server_port), daemon=True).start()
        yield int(listener.getsockname()[1])
        # Wakes the thread that accepts; closing alone would not.
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, server_port: int) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, server_port), daemon=True).start()


def _serve(client: socket.socket, server_port: int) -> None:
    with suppress(OSError, struct.error), client:
        packet = _startup_packet(client)
        if b"\0options\0" in packet:
            client.sendall(b"E" + struct.pack("!i", len(REFUSAL) + 4) + REFUSAL)
            return
        with socket.create_connection((HOST, server_port)) as server:
            server.sendall(packet)
            threading.Thread(target=_forward, args=(server, client), daemon=True).start()
            _forward(client, server)


def _startup_packet(client: socket.socket) -> bytes:
    """Return the start-up packet, after having refused encryption as often as it was asked for."""
    while True:
        head = client.recv(8, socket.MSG_WAITALL)
        length, code = struct.unpack("!ii", head)
        packet = head + client.recv(length - 8, socket.MSG_WAITALL) if length > 8 else head
        if code == PROTOCOL_3:
            return packet
        client.sendall(b"N")


def _forward(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def pgbouncer(directory: Path, url: URL, *, mode: str, ignored: str = "") -> Iterator["PgBouncer"]:
    """Start PgBouncer in front of the database of ``url``, for its role."""
    directory.mkdir()
    port = free_port()
    (directory / "users.txt").write_text(f'"{url.username}" "{url.password}"\n')
    (directory / "pgbouncer.ini").write_text(f"""
[databases]
{url.database} = host={url.host} port={url.port} dbname={url.database}
[pgbouncer]
listen_addr = {HOST}
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {directory / "users.txt"}
pool_mode = {mode}
ignore_startup_parameters = {ignored}
admin_users = {url.username}
""")
    if directory.owner() == "root":
        for path in (directory, *directory.iterdir()):
            shutil.chown(path, "nobody")
    assert PGBOUNCER is not None
    user = ["--user=nobody"] if directory.owner() == "nobody" else []
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - a program of the system
            [PGBOUNCER, *user, str(directory / "pgbouncer.ini")], stdout=log, stderr=log, cwd="/"
        )
    try:
        eventually(lambda: _listens(port))
        yield PgBouncer(port, process)
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


class PgBouncer:
    """A running pooler."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]") -> None:
        self.port = port
        self.process = process
