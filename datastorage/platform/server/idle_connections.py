"""Connections on which nobody has asked anything for too long, and a last look before they are closed.

While its threads are busy, the main thread of a worker may have looked at its connections a while ago. To
close one on which a request has arrived since is to reset it, and the client cannot know what was done.
"""

import select
from collections import deque
from collections.abc import Callable
from selectors import BaseSelector
from typing import Any

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.server.slow_clients import PatientConnection


def hang_up(
    waiting: deque[PatientConnection], poller: BaseSelector, serve: Callable[[PatientConnection], None]
) -> int:
    """Close the connections whose time is up, and return how many; serve those with something to read.

    Args:
        waiting: all that wait, the one whose time is up first in front.
        poller: that watches them.
        serve: takes a connection over.
    """
    now, closed = monotonic_seconds(), 0
    while waiting and waiting[0].timeout <= now:
        conn = waiting.popleft()
        poller.unregister(conn.sock)
        if has_queued(conn.sock):
            serve(conn)
        else:
            conn.close()
            closed += 1
    return closed


def has_queued(source: Any) -> bool:
    """Return whether there is something to read on a connection, or to accept at a listener."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    return bool(poll.poll(0))
