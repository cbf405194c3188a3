"""TLS in memory behaves as a plain connection does: it never waits unasked, and loses nothing."""

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from datastorage.platform.server.slow_readers import SlowReaders
from datastorage.platform.server.sockets import read_queued
from datastorage.platform.server.tls import ServerTls
from datastorage.platform.server.tls_socket import TlsSocket
from datastorage.settings import ServerTlsSettings
from tests.support.tls import Authority
from tests.support.waiting import eventually

LARGE = 3_000_000
"""More than the buffers between two ends hold."""


class Wire:
    """A client whose bytes reach the server when a test says so, and our end of the connection."""

    def __init__(self, authority: Authority, stack: ExitStack) -> None:
        pair = authority.issue("127.0.0.1")
        tls = ServerTls(ServerTlsSettings(cert_file=pair.cert, key_file=pair.key))
        context = tls.context(is_for_metrics=False)
        assert context is not None
        accepted, self.peer = socket.socketpair()
        readers = SlowReaders(1, 0, lambda _reason, _address: None)
        self.ours = TlsSocket(accepted, "192.0.2.1", readers, context)
        stack.callback(self.ours.close)
        stack.enter_context(self.peer)
        self.peer.settimeout(10)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = authority.client().wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")

    def shake_hands(self) -> None:
        with suppress(ssl.SSLWantReadError):
            self.client.do_handshake()
        self.peer.sendall(self._outgoing.read())
        assert read_queued(self.ours) is None
        self._incoming.write(self.peer.recv(65536))
        self.client.do_handshake()
        self.peer.sendall(self._outgoing.read())
        assert read_queued(self.ours) is None
        assert not self.ours.is_in_handshake

    def encrypted(self, data: bytes) -> bytes:
        self.client.write(data)
        return self._outgoing.read()

    def read_to(self, length: int) -> bytes:
        """Return what our end has sent, until there is so much, or the end."""
        received = b""
        while len(received) < length:
            try:
                piece = self.client.read(65536)
            except ssl.SSLWantReadError:
                self._incoming.write(self.peer.recv(65536))
                continue
            if not piece:
                break
            received += piece
        return received


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with ExitStack() as stack:
        yield Wire(Authority(tmp_path), stack)


def test_handshake_takes_a_step_whenever_something_has_come(wire: Wire) -> None:
    assert (read_queued(wire.ours), wire.ours.is_in_handshake) == (None, False)

    with suppress(ssl.SSLWantReadError):
        wire.client.do_handshake()
    hello = wire._outgoing.read()
    wire.peer.sendall(hello[:10])
    assert (read_queued(wire.ours), wire.ours.is_in_handshake) == (None, True)
    wire.peer.sendall(hello[10:])
    assert read_queued(wire.ours) is None

    assert wire.peer.recv(1) == b"\x16"


def test_plain_http_fails_and_the_failure_lasts(wire: Wire) -> None:
    wire.peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

    with pytest.raises(ssl.SSLError):
        read_queued(wire.ours)

    assert read_queued(wire.ours) == b""


def test_part_of_a_record_is_nothing_yet(wire: Wire) -> None:
    wire.shake_hands()
    record = wire.encrypted(b"hello")

    wire.peer.sendall(record[:-1])
    before = read_queued(wire.ours)
    wire.peer.sendall(record[-1:])

    assert (before, read_queued(wire.ours)) == (None, b"hello")


def test_nothing_that_is_decrypted_stays_behind(wire: Wire) -> None:
    """The poller would never tell about it."""
    wire.shake_hands()

    wire.peer.sendall(b"".join(wire.encrypted(b"x" * 500) for _ in range(50)))

    assert wire.ours.recv(1) == b"x" * 25_000


def test_changed_record_ends_the_connection(wire: Wire) -> None:
    wire.shake_hands()
    record = bytearray(wire.encrypted(b"hello"))
    record[-1] ^= 1

    wire.peer.sendall(record)

    assert read_queued(wire.ours) == b""


def test_client_that_says_goodbye_and_stays_has_ended(wire: Wire) -> None:
    wire.shake_hands()
    last = wire.encrypted(b"last")
    with suppress(ssl.SSLWantReadError):
        wire.client.unwrap()

    wire.peer.sendall(last + wire._outgoing.read())

    assert read_queued(wire.ours) == b"last"
    assert read_queued(wire.ours) == b""


def test_answer_that_the_client_takes_slowly_arrives_whole(wire: Wire) -> None:
    wire.shake_hands()
    answer = bytes(range(256)) * (LARGE // 256)

    with ThreadPoolExecutor(1) as thread:
        wire.ours.hold_next()
        wire.ours.sendall(b"head ")
        sending = thread.submit(wire.ours.sendall, answer)
        eventually(lambda: wire.ours._sending is not None)
        received = wire.read_to(5 + len(answer))
        sending.result(10)

    assert received == b"head " + answer


def test_what_the_kernel_does_not_take_goes_before_what_follows(wire: Wire) -> None:
    wire.shake_hands()
    wire.ours.setblocking(False)
    sent = b""
    with suppress(BlockingIOError):
        while len(sent) < LARGE:
            piece = b"%07d\n" % len(sent) * 1000
            assert wire.ours.send(piece) == len(piece)
            sent += piece
    assert len(sent) < LARGE

    wire.ours.setblocking(True)
    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(wire.ours.sendall, b"the end")
        received = wire.read_to(len(sent) + 7)
        sending.result(10)

    assert received == sent + b"the end"


def test_end_of_our_half_is_told_in_words_of_tls(wire: Wire) -> None:
    wire.shake_hands()
    wire.ours.sendall(b"answer")

    wire.ours.shutdown(socket.SHUT_WR)

    assert wire.read_to(100) == b"answer"


def test_file_passes_through(wire: Wire, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    wire.shake_hands()
    wire.ours.hold_next()
    wire.ours.sendall(b"head ")

    with path.open("rb") as file:
        sent = wire.ours.sendfile(file, offset=2, count=5)

    assert (sent, wire.read_to(10)) == (5, b"head 23456")
