"""Clients that take their answer slowly each hold a thread: only a few may while requests wait for one.

A client is a slow reader as soon as sending to it has blocked for a second, until its answer is sent. Beyond
``server.max_slow_readers`` the one that has been slow longest is cut when a request waits for a thread. At
any time one is cut that takes less than ``server.min_send_rate``, and those that have been slow longest when
all together leave more unread than fits into memory. ``server.write_timeout`` ends a client that takes
nothing at all.
"""

import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, Protocol

from datastorage.platform.clock import monotonic_seconds

SLOW_SECONDS: Final = 1.0
"""How long a send blocks before its client counts as slow."""
MOST_UNREAD_BYTES: Final = 48 * 1024 * 1024
"""What the slow readers of one worker may leave unread: a page can have megabytes, which stay in memory."""
RATE_SECONDS: Final = 30.0
"""Over how many seconds of blocked sends the rate of an answer is measured."""
_RESET: Final = struct.pack("ii", 1, 0)
"""What SO_LINGER takes to drop what is not sent yet: it would stay in memory until the client takes it."""


class Cuttable(Protocol):
    """A socket that can be shut down under the thread that sends on it."""

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None:
        """Set an option."""

    def shutdown(self, how: int, /) -> None:
        """End the connection."""


@dataclass(slots=True, eq=False)
class Sending:
    """An answer of which a part could not be sent at once.

    Attributes:
        sock: on which it is sent.
        address: of the client.
        blocked_since: when the send under way began to block, ``None`` while nothing is sent.
        slow_since: when its client became a slow reader, if it is one.
        window_seconds: of blocked sends, since the rate was last judged.
        window_bytes: sent in them.
        unread_bytes: of the send under way.
    """

    sock: Cuttable
    address: str
    blocked_since: float | None = None
    slow_since: float | None = None
    window_seconds: float = 0.0
    window_bytes: int = field(default=0)
    unread_bytes: int = 0

    def blocks(self) -> None:
        """Note that a send begins to block."""
        self.blocked_since = monotonic_seconds()

    def sent(self, sent_bytes: int, *, unread_bytes: int) -> None:
        """Note that the client took some bytes, and how much is left."""
        self.window_bytes += sent_bytes
        self.unread_bytes = unread_bytes

    def unblocks(self) -> None:
        """Note that the send is over."""
        if self.blocked_since is not None:
            blocked_seconds = monotonic_seconds() - self.blocked_since
            self.window_seconds += blocked_seconds
            if blocked_seconds > SLOW_SECONDS and self.slow_since is None:
                self.slow_since = self.blocked_since
            self.blocked_since = None

    def is_slow(self, now: float) -> bool:
        """Return whether its client is a slow reader; from then on it stays one."""
        blocked_since = self.blocked_since  # another thread may end the send meanwhile
        if self.slow_since is None and blocked_since is not None and now - blocked_since > SLOW_SECONDS:
            self.slow_since = blocked_since
        return self.slow_since is not None

    def is_below(self, bytes_per_second: int, now: float) -> bool:
        """Return whether its client took less than it must; starts a new window when one is over."""
        blocked_since = self.blocked_since
        seconds = self.window_seconds + (now - blocked_since if blocked_since is not None else 0.0)
        if seconds < RATE_SECONDS:
            return False
        is_below = self.window_bytes < bytes_per_second * seconds
        self.window_seconds -= seconds  # what the send under way has blocked will be added as a whole
        self.window_bytes = 0
        return is_below


class SlowReaders:
    """The answers of one worker that clients take slowly.

    Args:
        maximum: how many there may be while requests wait for a thread.
        bytes_per_second: what a client has to take at least; 0 lets it take any time.
        tell: counts a connection that is cut, by reason and address.
    """

    def __init__(self, maximum: int, bytes_per_second: int, tell: Callable[[str, str], None]) -> None:
        self._maximum = maximum
        self._bytes_per_second = bytes_per_second
        self._tell = tell
        self._sending: set[Sending] = set()
        self._lock = Lock()

    def begin(self, sock: Cuttable, address: str) -> Sending:
        """Watch an answer of which a part could not be sent at once."""
        sending = Sending(sock, address)
        with self._lock:
            self._sending.add(sending)
        return sending

    def end(self, sending: Sending) -> None:
        """Stop watching it; before its socket is closed, whose number another connection may get."""
        with self._lock:
            self._sending.discard(sending)

    @property
    def count(self) -> int:
        """How many clients are slow."""
        now = monotonic_seconds()
        with self._lock:
            return sum(each.is_slow(now) for each in self._sending)

    def cut(self, *, is_thread_wanted: bool) -> None:
        """Cut those that take too little, and one of too many; for the main thread, about once a second."""
        if not self._sending:
            return
        now = monotonic_seconds()
        with self._lock:
            slow = [each for each in self._sending if each.is_slow(now)]
            slow.sort(key=_slow_since)
            doomed = {each for each in self._sending if each.is_below(self._bytes_per_second, now)}
            if is_thread_wanted and len(slow) - len(doomed) > self._maximum:
                doomed.add(slow[0])
            doomed |= _beyond(MOST_UNREAD_BYTES, slow)
            for each in doomed:
                self._sending.discard(each)
                _reset(each.sock)
        for each in doomed:
            self._tell("slow_reader", each.address)


def _beyond(bound_bytes: int, slow: Sequence[Sending]) -> set[Sending]:
    """Return those that have been slow longest, so many that what the others leave unread fits."""
    unread = sum(each.unread_bytes for each in slow)
    beyond = set()
    for each in slow:
        if unread <= bound_bytes:
            break
        unread -= each.unread_bytes
        beyond.add(each)
    return beyond


def _slow_since(sending: Sending) -> float:
    return sending.slow_since or 0.0


def _reset(sock: Cuttable) -> None:
    """End a connection; the thread that sends on it gets an error, and closes it."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        sock.shutdown(socket.SHUT_RDWR)
