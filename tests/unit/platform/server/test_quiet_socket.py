"""Fewer system calls, the same bytes."""

import socket
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from datastorage.platform.server.quiet_socket import PIECE_BYTES, UNSENT_BYTES, QuietSocket
from datastorage.platform.server.slow_readers import SlowReaders


@pytest.fixture
def pair() -> Iterator[tuple[QuietSocket, socket.socket]]:
    """Our end of a connection, and the client's."""
    ours, theirs = socket.socketpair()
    quiet = QuietSocket(ours, "192.0.2.1", SlowReaders(1, 0, lambda _reason, _address: None))
    theirs.setblocking(False)
    yield quiet, theirs
    quiet.close()
    theirs.close()


def received(theirs: socket.socket) -> bytes:
    """Return what has arrived by now."""
    try:
        return theirs.recv(65536)
    except BlockingIOError:
        return b""


def test_head_goes_together_with_the_body(pair: tuple[QuietSocket, socket.socket]) -> None:
    quiet, theirs = pair

    quiet.hold_next()
    quiet.sendall(b"head ")
    before = received(theirs)
    quiet.sendall(b"body")

    assert (before, received(theirs)) == (b"", b"head body")


def test_what_follows_is_not_held(pair: tuple[QuietSocket, socket.socket]) -> None:
    quiet, theirs = pair
    quiet.hold_next()
    quiet.sendall(b"head ")
    quiet.sendall(b"body")
    received(theirs)

    quiet.sendall(b"more")

    assert received(theirs) == b"more"


def test_head_without_a_body_is_sent_once_it_is_released(pair: tuple[QuietSocket, socket.socket]) -> None:
    quiet, theirs = pair
    quiet.hold_next()
    quiet.sendall(b"head")

    quiet.release()
    quiet.release()

    assert received(theirs) == b"head"


def test_forgotten_head_is_never_sent(pair: tuple[QuietSocket, socket.socket]) -> None:
    quiet, theirs = pair
    quiet.hold_next()
    quiet.sendall(b"head")

    quiet.forget()
    quiet.sendall(b"problem")

    assert received(theirs) == b"problem"


def test_file_goes_behind_its_head(pair: tuple[QuietSocket, socket.socket], tmp_path: Path) -> None:
    quiet, theirs = pair
    path = tmp_path / "file"
    path.write_bytes(b"content")
    quiet.hold_next()
    quiet.sendall(b"head ")

    with path.open("rb") as file:
        quiet.sendfile(file)

    assert received(theirs) == b"head content"


@pytest.mark.parametrize("timeout", [None, 0.0, 1.5])
def test_mode_is_what_was_set_last(pair: tuple[QuietSocket, socket.socket], timeout: float | None) -> None:
    quiet, _ = pair

    quiet.settimeout(timeout)
    quiet.settimeout(timeout)

    assert quiet.gettimeout() == timeout
    assert quiet.getblocking() is (timeout != 0.0)


def test_stream_runs_only_a_little_ahead_of_a_client_that_does_not_read() -> None:
    taken = {is_limited: taken_unread(is_limited=is_limited) for is_limited in (False, True)}

    assert UNSENT_BYTES <= taken[True] <= UNSENT_BYTES + 2 * PIECE_BYTES
    assert taken[False] > 4 * taken[True]


def taken_unread(*, is_limited: bool) -> int:
    """Return how many bytes the kernel takes for a client that reads none."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        ours = QuietSocket(accepted, "192.0.2.1", SlowReaders(1, 0, lambda _reason, _address: None))
        ours.setblocking(False)
        if is_limited:
            ours.limit_unsent()
        with closing(ours):
            return sum(iter(partial(taken_at_once, ours), 0))


def taken_at_once(ours: QuietSocket) -> int:
    """Return how much of a piece the kernel takes."""
    try:
        return ours.send(bytes(PIECE_BYTES))
    except BlockingIOError:
        return 0
