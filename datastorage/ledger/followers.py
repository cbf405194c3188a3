"""Those who follow the ledger: streams and held answers, all on one thread of a worker (ledger.md 5.4).

The thread asks the database while somebody follows: once in each ``feed.poll_interval`` for those at the
head, each filter once, and in turns for those that catch up. It holds no connection of the pool in between,
and no thread of a request ever waits here.
"""

import logging
import os
import selectors
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Final

from datastorage.errors import DatabaseError, QueryTimeout
from datastorage.ledger.follower import Follower, HeldAnswer, Stream
from datastorage.ledger.following import PIECE_LEAVES, FeedFilter, Following, Piece
from datastorage.ledger.refusals import FollowersBusy
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.db.stretches import Bound
from datastorage.platform.failures import failure_of
from datastorage.platform.metrics import Metrics
from datastorage.platform.server.held import HeldConnection
from datastorage.settings import FeedSettings

logger = logging.getLogger(__name__)

CATCHING_UP: Final = 8
"""Reads of a tick for those that catch up."""
PIECE_BYTES: Final = 512 * 1024
FAREWELL_SECONDS: Final = 0.5
"""How long an end is still sent to those that do not take it at once."""

Place = tuple[int, FeedFilter]


class Followers:
    """Those of one worker.

    Args:
        following: reads the ledger.
        settings: how many there may be, and how often the ledger is asked.
        write_timeout: how long a follower may take nothing.
        metrics: count them.
    """

    def __init__(
        self, following: Following, settings: FeedSettings, *, write_timeout: timedelta, metrics: Metrics
    ) -> None:
        self._following = following
        self._most = settings.max_followers
        self._poll_seconds = settings.poll_interval.total_seconds()
        self._heartbeat_seconds = settings.heartbeat.total_seconds()
        self._write_seconds = write_timeout.total_seconds()
        self._metrics = metrics
        self._lock = Lock()
        self._promised = 0
        self._arriving: SimpleQueue[Follower] = SimpleQueue()
        self._followers: set[Follower] = set()
        self._head = 0
        self._tick_at = 0.0
        self._is_ending = False
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the thread; after the fork."""
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread = Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    def stream(self, place: int, wanted: FeedFilter) -> Follower:
        """Return a stream that begins at a leaf, with a place for it: see ``Promise``.

        Raises:
            FollowersBusy: there is none.
        """
        return self._promise(Stream(place, wanted, heartbeat_seconds=self._heartbeat_seconds))

    def hold(self, place: int, wanted: FeedFilter, *, limit: int, seconds: float) -> Follower:
        """Return an answer that waits for something to tell, likewise.

        Raises:
            FollowersBusy: there is none.
        """
        return self._promise(HeldAnswer(place, wanted, limit=limit, seconds=seconds))

    def _promise(self, follower: Follower) -> Follower:
        with self._lock:
            if self._promised >= self._most:
                raise FollowersBusy(f"{self._most} connections follow already - please retry")
            self._promised += 1
        return follower

    def release(self) -> None:
        """Give a place to somebody else."""
        with self._lock:
            self._promised -= 1

    def adopt(self, follower: Follower) -> None:
        """Let a follower that has its connection join; any thread may call."""
        self._arriving.put(follower)
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Say goodbye to all, and end the thread."""
        if self._thread is not None:
            self._is_ending = True
            os.eventfd_write(self._wake, 1)
            self._thread.join(2 * FAREWELL_SECONDS)

    def _run(self) -> None:
        while not self._is_ending:
            failure = failure_of(self._turn)
            if failure is not None:
                logger.error("Background work failed", exc_info=failure, extra={"loop": "feed"})
        self._say_goodbye()

    def _turn(self) -> None:
        """Wait until something is to be done, and do it."""
        seconds = max(0.0, self._tick_at - monotonic_seconds()) if self._followers else None
        self._serve(self._selector.select(seconds))
        while (arrived := self._next_arrived()) is not None:
            self._admit(arrived)
        now = monotonic_seconds()
        if self._followers and now >= self._tick_at:
            self._tick_at = now + self._poll_seconds
            self._tick(now)

    def _serve(self, ready: Sequence[tuple[selectors.SelectorKey, int]]) -> None:
        for key, events in ready:
            if key.data is None:
                os.eventfd_read(self._wake)
                continue
            follower: Follower = key.data
            if events & selectors.EVENT_READ:
                follower.connection.listen()
            if events & selectors.EVENT_WRITE:
                follower.connection.push()
            self._look_at(follower)

    def _next_arrived(self) -> Follower | None:
        with suppress(Empty):
            return self._arriving.get_nowait()
        return None

    def _admit(self, follower: Follower) -> None:
        self._followers.add(follower)
        self._selector.register(follower.connection, selectors.EVENT_READ, follower)
        follower.begin(monotonic_seconds())
        self._look_at(follower)
        self._show_count()

    def _tick(self, now: float) -> None:
        try:
            self._give(self._following.size())
        except DatabaseError as error:
            # Streams stay open, and go on when the database does; whoever writes or asks is told of it.
            logger.debug("Feed cannot read", extra={"reason": str(error)})
        for follower in tuple(self._followers):
            follower.tick(now)
            self._look_at(follower)
            if follower.has_stood_since(now - self._write_seconds):
                self._dismiss(follower, "slow")

    def _give(self, size: int) -> None:
        """Let all read on, below ``size``.

        Raises:
            DatabaseError: the ledger cannot be read.
        """
        head, self._head = self._head, size
        for follower in [each for each in self._followers if each.place > size]:
            follower.end()
            self._dismiss(follower, "shorter")  # what is not taken at once is no loss: it may ask why
        for (place, wanted), group in self._groups(head, size):
            most = min(size, place + PIECE_LEAVES) if not wanted.conditions else size
            try:
                piece = self._following.read(place, most, wanted, Bound(PIECE_LEAVES, PIECE_BYTES))
            except QueryTimeout:
                # Nobody else shall wait for it again. It may ask for a page, and learns why there.
                for follower in group:
                    self._dismiss(follower, "slow")
                continue
            for follower in group:
                follower.tree_size = size
                self._hand_out(follower, piece)

    def _groups(self, head: int, size: int) -> Iterator[tuple[Place, list[Follower]]]:
        """Yield those who want the same, the ones at the head first and then some that catch up."""
        groups: dict[Place, list[Follower]] = {}
        for follower in self._followers:
            is_ready = follower.place == head or not follower.connection.unsent_bytes
            if follower.place < size and is_ready and not follower.is_over:
                groups.setdefault((follower.place, follower.wanted), []).append(follower)
        at_head = [each for each in groups.items() if each[0][0] == head]
        behind = [each for each in groups.items() if each[0][0] != head]
        behind.sort(key=lambda each: min(follower.read_at for follower in each[1]))
        yield from at_head
        yield from behind[:CATCHING_UP]

    def _hand_out(self, follower: Follower, piece: Piece) -> None:
        follower.read_at = monotonic_seconds()
        if follower.has_room_for(piece):
            self._metrics.feed_events_sent.inc(follower.give(piece))
            self._look_at(follower)
        else:
            self._dismiss(follower, "slow")

    def _look_at(self, follower: Follower) -> None:
        """Wait for what the follower has to do next, or let it go."""
        if follower not in self._followers:
            return
        connection = follower.connection
        if connection.is_gone:
            self._dismiss(follower, "client")
        elif follower.is_over and not connection.unsent_bytes:
            self._dismiss(follower, "shutdown" if self._is_ending else None)
        elif follower.waits_to_write != bool(connection.unsent_bytes):
            follower.waits_to_write = not follower.waits_to_write
            events = selectors.EVENT_WRITE if follower.waits_to_write else 0
            self._selector.modify(connection, selectors.EVENT_READ | events, follower)

    def _dismiss(self, follower: Follower, reason: str | None) -> None:
        if follower not in self._followers:
            return
        self._followers.discard(follower)
        self._selector.unregister(follower.connection)
        follower.connection.close()
        self.release()
        if reason is not None and follower.kind == Stream.kind:
            self._metrics.feed_closed.labels(reason).inc()
        self._show_count()

    def _show_count(self) -> None:
        counts = Counter(follower.kind for follower in self._followers)
        for kind in (Stream.kind, HeldAnswer.kind):
            self._metrics.feed_followers.labels(kind).set(counts[kind])

    def _say_goodbye(self) -> None:
        while (arrived := self._next_arrived()) is not None:
            self._admit(arrived)
        for follower in tuple(self._followers):
            follower.part()
            self._look_at(follower)
        deadline = monotonic_seconds() + FAREWELL_SECONDS
        while self._followers and (left := deadline - monotonic_seconds()) > 0:
            self._serve(self._selector.select(left))
        for follower in tuple(self._followers):
            self._dismiss(follower, "shutdown")


class Promise:
    """A place among the followers, and the body of the answer that takes it: nothing is sent in it yet.

    Args:
        followers: whom it joins.
        follower: who.
    """

    def __init__(self, followers: Followers, follower: Follower) -> None:
        self._followers = followers
        self._follower = follower
        self._is_kept = False

    def keep(self) -> None:
        """Expect the connection."""
        self._is_kept = True

    def take(self, connection: HeldConnection) -> None:
        """Join, with the connection."""
        self._follower.connection = connection
        self._followers.adopt(self._follower)

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        """Leave the place to somebody else, if no connection comes: the client has left, or asked by HEAD."""
        if not self._is_kept:
            self._is_kept = True
            self._followers.release()
