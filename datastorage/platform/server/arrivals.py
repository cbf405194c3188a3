"""Connections whose next request is on its way, watched by the main thread of a worker.

A connection gets a thread when a complete head, and a complete body of known length, has arrived. Until then
it only costs a place in the poller: clients that are silent, stop in the middle or send byte by byte hold no
thread, and each of them has a deadline. Only chunked bodies are read by threads, a few at a time.

A body that is large, chunked or held back is awaited only when its head has passed the gates, in a thread: a
caller who is refused sends it for nothing, and it takes no room.
"""

from collections import Counter
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from itertools import takewhile
from selectors import EVENT_READ, BaseSelector
from socket import MSG_DONTWAIT
from ssl import SSLError
from typing import Any, Final, NamedTuple

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.server.arrival import Arrival, Stage
from datastorage.platform.server.body_budget import BodyBudget
from datastorage.platform.server.goodbyes import Goodbyes
from datastorage.platform.server.slow_clients import CONTINUE
from datastorage.platform.server.sockets import has_queued, read_queued
from datastorage.platform.web.requests import LATE, NO_ROOM

CHUNKED_THREADS: Final = 4
"""Threads of a worker that may read chunked bodies at once."""
ROOM_SECONDS: Final = 1.0
"""How long a body waits for room, and how long another may arrive slowly before it loses its room."""
SLOW_BYTES_PER_SECOND: Final = 16 * 1024


class Limits(NamedTuple):
    """Seconds that each part of a request may take, and numbers of connections of one worker.

    Attributes:
        silent: until the first byte of a request.
        head: from its first byte to its end.
        body: from the end of the head.
        connections: all that are open.
        connections_per_address: those from one address.
        exempt: whether an address may have more, as trusted proxies may.
    """

    silent: float
    head: float
    body: float
    connections: int
    connections_per_address: int
    exempt: Callable[[str], bool]


class Actions(NamedTuple):
    """What the worker does with a connection.

    Attributes:
        dispatch: gives it to a thread.
        close: closes it.
        tell: counts one that is closed, by the reason and the address.
    """

    dispatch: Callable[[Any], None]
    close: Callable[[Any], None]
    tell: Callable[[str, str], None]


class Arrivals:
    """The connections of one worker whose next request has not arrived. For the main thread alone."""

    def __init__(
        self, poller: BaseSelector, limits: Limits, budget: BodyBudget, goodbyes: Goodbyes, actions: Actions
    ) -> None:
        self._poller = poller
        self._limits = limits
        self._budget = budget
        self._goodbyes = goodbyes
        self._dispatch, self._close, self._tell = actions
        self._seconds = {
            Wait.SILENT: limits.silent,
            Wait.HEAD: limits.head,
            Wait.BODY: limits.body,
            Wait.ROOM: ROOM_SECONDS,
            Wait.TURN: limits.body,
        }
        # In the order of their deadlines, because all that wait for the same thing have the same time.
        self._waiting: dict[Wait, dict[Any, float]] = {wait: {} for wait in Wait}
        self._by_address: Counter[str] = Counter()
        self._chunked_threads = 0

    def accept(self, conn: Any) -> None:
        """Wait for the first request of a new connection; beyond a limit another one is closed for it."""
        self._by_address[conn.address] += 1
        self.resume(conn)
        is_exempt = self._limits.exempt(conn.address)
        if not is_exempt and self._by_address[conn.address] > self._limits.connections_per_address:
            self._close_oldest("address_limit", conn.address)
        if self._by_address.total() > self._limits.connections:
            self._close_oldest("worker_limit")

    def forget(self, conn: Any) -> None:
        """Note that a connection is closed."""
        self._by_address[conn.address] -= 1
        if not self._by_address[conn.address]:
            del self._by_address[conn.address]

    def finish(self, conn: Any) -> None:
        """Release what a request held that a thread has carried out."""
        if conn.arrival.holds_turn:
            conn.arrival.holds_turn = False
            self._chunked_threads -= 1
        self._budget.give_back(conn.arrival.reserved_bytes)
        conn.arrival.reserved_bytes = 0
        for wait in (Wait.ROOM, Wait.TURN):
            for waiting in list(self._waiting[wait]):
                self.resume(waiting)

    def expire(self) -> None:
        """End what has waited too long."""
        now = monotonic_seconds()
        for wait, waiting in self._waiting.items():
            for conn, _ in list(takewhile(lambda item: item[1] <= now, waiting.items())):
                self._end(wait, conn)

    def cap(self, deadline: float) -> None:
        """Wait until ``deadline`` for heads, at most."""
        for wait in (Wait.SILENT, Wait.HEAD):
            waiting = self._waiting[wait]
            waiting.update({conn: min(before, deadline) for conn, before in waiting.items()})

    def close_without_head(self) -> None:
        """Close the connections that have not begun a request, or not finished its head."""
        for conn in [*self._waiting[Wait.SILENT], *self._waiting[Wait.HEAD]]:
            self._leave(conn)
            self._close(conn)

    def resume(self, conn: Any) -> None:
        """Look at what has arrived, and wait for what is missing or give the connection to a thread."""
        wait = self._wants(conn)
        if wait is None:
            self._leave(conn)
            self._dispatch(conn)
        elif wait is not conn.waits_for:
            self._leave(conn)
            self._wait(conn, wait)

    def _wants(self, conn: Any) -> "Wait | None":
        arrival: Arrival = conn.arrival
        if arrival.stage is Stage.SILENT:
            return Wait.SILENT
        if arrival.stage is Stage.HEAD:
            return Wait.HEAD
        if arrival.shows_head_first():
            return None
        if arrival.is_chunked:
            return self._take_turn(arrival)
        if arrival.body_bytes and not arrival.reserved_bytes and not self._reserve(arrival):
            return Wait.ROOM
        return Wait.BODY if arrival.stage is Stage.BODY else None

    def _take_turn(self, arrival: Arrival) -> "Wait | None":
        if arrival.holds_turn:
            return None
        if self._chunked_threads >= CHUNKED_THREADS:
            return Wait.TURN
        arrival.holds_turn = True
        self._chunked_threads += 1
        return None

    def _reserve(self, arrival: Arrival) -> bool:
        while not self._budget.take(arrival.body_bytes):
            slowest = self._slowest_body()
            if slowest is None:
                return False
            self._end(Wait.BODY, slowest)
        arrival.reserved_bytes = arrival.body_bytes
        return True

    def _slowest_body(self) -> Any | None:
        """Return the connection whose body arrives at the lowest rate, unless none is slow."""
        now = monotonic_seconds()
        rates = {
            conn: len(conn.arrival.data) / age
            for conn, deadline in self._waiting[Wait.BODY].items()
            if (age := now - (deadline - self._limits.body)) > ROOM_SECONDS
        }
        slow = {conn: rate for conn, rate in rates.items() if rate < SLOW_BYTES_PER_SECOND}
        return min(slow, key=slow.__getitem__, default=None)

    def _wait(self, conn: Any, wait: "Wait") -> None:
        conn.waits_for = wait
        self._waiting[wait][conn] = monotonic_seconds() + self._seconds[wait]
        if wait in READING:
            self._poller.register(conn.sock, EVENT_READ, partial(self._read, conn))
        if wait is Wait.BODY and conn.arrival.expects_continue:
            conn.arrival.expects_continue = False
            self._send_continue(conn)

    def _leave(self, conn: Any) -> None:
        if conn.waits_for is None:
            return
        deadline = self._waiting[conn.waits_for].pop(conn)
        if conn.waits_for is Wait.TURN:
            conn.body_expires_at = deadline
        if conn.waits_for in READING:
            self._poller.unregister(conn.sock)
        conn.waits_for = None

    def _read(self, conn: Any, _sock: object) -> None:
        try:
            chunk = read_queued(conn.sock)
        except SSLError:  # plain HTTP too
            self._leave(conn)
            self._tell("tls", conn.address)
            self._goodbyes.say(conn)  # the client may be sending its request, and would not see the alert
            return
        if chunk is None:
            self._begin_handshake(conn)
        elif not chunk:
            self._leave(conn)
            self._close(conn)
        else:
            conn.arrival.take(chunk)
            self.resume(conn)

    def _begin_handshake(self, conn: Any) -> None:
        if conn.sock.is_in_handshake and conn.waits_for is Wait.SILENT:
            conn.arrival.begin_handshake()
            self.resume(conn)

    def _send_continue(self, conn: Any) -> None:
        try:
            conn.sock.send(CONTINUE, MSG_DONTWAIT)
        except OSError:
            self._leave(conn)
            self._close(conn)

    def _end(self, wait: "Wait", conn: Any) -> None:
        if wait is Wait.SILENT and has_queued(conn.sock):
            # The poller may not have been asked for a while, if the threads were busy. Closing a connection
            # on which a request has arrived since would reset it.
            self._read(conn, conn.sock)
            return
        self._leave(conn)
        if wait in REASONS:
            self._say_goodbye(conn, REASONS[wait])
            return
        # The body is given up: a thread answers, and the connection ends.
        conn.arrival.refusal = NO_ROOM if wait is Wait.ROOM else LATE
        self._dispatch(conn)

    def _close_oldest(self, reason: str, address: str | None = None) -> None:
        """Close the connection that has waited longest for a head, if one does."""
        begun = {
            conn: deadline - self._seconds[wait]
            for wait in (Wait.SILENT, Wait.HEAD)
            for conn, deadline in self._waiting[wait].items()
            if address is None or conn.address == address
        }
        if begun:
            oldest = min(begun, key=begun.__getitem__)
            self._leave(oldest)
            self._say_goodbye(oldest, reason)

    def _say_goodbye(self, conn: Any, reason: str) -> None:
        self._tell(reason, conn.address)
        if conn.arrival.data:
            self._goodbyes.say(conn)
        else:
            self._close(conn)


class Wait(Enum):
    """What a connection waits for before a thread gets it."""

    SILENT = auto()
    """The first byte of a request."""
    HEAD = auto()
    """The end of its head."""
    BODY = auto()
    """The end of its body."""
    ROOM = auto()
    """Room in the budget for its body; nothing is read meanwhile."""
    TURN = auto()
    """One of the threads that read chunked bodies."""


READING: Final = frozenset({Wait.SILENT, Wait.HEAD, Wait.BODY})
REASONS: Final = {Wait.SILENT: "silent", Wait.HEAD: "head_timeout"}
"""Label of a connection that is closed without an answer."""
