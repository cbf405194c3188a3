"""What there is to read at a socket, without waiting for it."""

import select
from socket import MSG_DONTWAIT, socket
from ssl import SSLError
from typing import Any, Final

READ_BYTES: Final = 64 * 1024


def has_queued(source: Any) -> bool:
    """Return whether there is something to read on a connection, or to accept at a listener."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    return bool(poll.poll(0))


def read_queued(connection: socket) -> bytes | None:
    """Return what has arrived, empty at the end of the connection; ``None`` when nothing is there.

    Raises:
        SSLError: a handshake has failed.
    """
    try:
        return connection.recv(READ_BYTES, MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except SSLError:
        raise
    except OSError:
        return b""


def drop_queued(connection: socket) -> int | None:
    """Drop what has arrived, as it is on the wire; return how much, 0 at the end, ``None`` for nothing."""
    try:
        return len(socket.recv(connection, READ_BYTES, MSG_DONTWAIT))
    except BlockingIOError:
        return None
    except OSError:
        return 0
