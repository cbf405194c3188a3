"""What there is to read at a socket, without waiting for it."""

import select
from socket import MSG_DONTWAIT, socket
from typing import Any, Final

READ_BYTES: Final = 64 * 1024


def has_queued(source: Any) -> bool:
    """Return whether there is something to read on a connection, or to accept at a listener."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    return bool(poll.poll(0))


def read_queued(connection: socket) -> bytes | None:
    """Return what has arrived, empty at the end of the connection; ``None`` when nothing is there."""
    try:
        return connection.recv(READ_BYTES, MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""
