"""One who follows the ledger: where it stands, and what it is sent."""

from typing import ClassVar, Final

from datastorage.ledger.feed_page import FeedPage
from datastorage.ledger.following import FeedFilter, Piece
from datastorage.platform.server.held import HeldConnection
from datastorage.platform.web import json

MOST_UNSENT_BYTES: Final = 1024 * 1024
"""What a follower may leave untaken, in memory of this process."""


class Follower:
    """A connection that waits for leaves.

    Args:
        place: the leaf that is looked at next.
        wanted: which events it is told of.

    Attributes:
        kind: what metrics call it.
        connection: to its client; there once it has joined.
        given_at: when it last got something; seconds of the monotonic clock.
        read_at: when the ledger was last read for it; the same.
        tree_size: how many leaves there were then.
        is_over: whether nothing more will be sent.
        waits_to_write: whether one looks when its socket takes more.
    """

    kind: ClassVar[str]
    connection: HeldConnection

    def __init__(self, place: int, wanted: FeedFilter) -> None:
        self.place = self.tree_size = place
        self.wanted = wanted
        self.given_at = self.read_at = 0.0
        self.is_over = False
        self.waits_to_write = False
        self._unsent_before = 0
        self._moved_at = 0.0

    def begin(self, now: float) -> None:
        """Join."""
        self.given_at = self._moved_at = now

    def has_room_for(self, piece: Piece) -> bool:
        """Tell whether it takes what it is sent: one that has taken everything may have any piece."""
        unsent = self.connection.unsent_bytes
        return not unsent or unsent + len(piece.messages) <= MOST_UNSENT_BYTES

    def has_stood_since(self, then: float) -> bool:
        """Tell whether it has left bytes untaken, and taken none, since a time."""
        return bool(self.connection.unsent_bytes) and self._moved_at < then

    def give(self, piece: Piece) -> int:
        """Tell of what was read, and return of how many events."""
        raise NotImplementedError

    def tick(self, now: float) -> None:
        """Note how far it is, and tell it what time alone has brought."""
        unsent = self.connection.unsent_bytes
        if unsent < self._unsent_before or not unsent:
            self._moved_at = now
        self._unsent_before = unsent

    def end(self) -> None:
        """End the answer: it is whole."""
        self.connection.end()
        self.is_over = True

    def part(self) -> None:
        """End the answer because the process ends."""
        raise NotImplementedError


class Stream(Follower):
    """A stream of events, ``text/event-stream``.

    Args:
        place, wanted: as of every follower.
        heartbeat_seconds: after so long without data it hears where it stands.
    """

    kind = "stream"

    def __init__(self, place: int, wanted: FeedFilter, *, heartbeat_seconds: float) -> None:
        super().__init__(place, wanted)
        self._heartbeat_seconds = heartbeat_seconds

    def begin(self, now: float) -> None:
        """Say how soon a client may come back."""
        super().begin(now)
        self.connection.send(b"retry: 2000\n\n")

    def give(self, piece: Piece) -> int:
        """Send every item."""
        self.place = piece.next
        if piece.items:
            self.given_at = self.read_at
            self.connection.send(piece.messages)
        return piece.event_count

    def tick(self, now: float) -> None:
        """Send a heartbeat when it is time."""
        super().tick(now)
        if not self.is_over and now - self.given_at >= self._heartbeat_seconds:
            self.given_at = now
            place = f"id: {self.place - 1}\n" if self.place else ""
            self.connection.send(f"{place}: heartbeat\n\n".encode())

    def part(self) -> None:
        """Send the client elsewhere, soon."""
        if self.is_over:
            return
        self.connection.send(b"retry: 1000\n\n")
        self.end()


class HeldAnswer(Follower):
    """A page that waits until there is something in it.

    Args:
        place, wanted: as of every follower.
        limit: items of the page.
        seconds: how long it waits.
    """

    kind = "poll"

    def __init__(self, place: int, wanted: FeedFilter, *, limit: int, seconds: float) -> None:
        super().__init__(place, wanted)
        self._limit = limit
        self._seconds = seconds

    def give(self, piece: Piece) -> int:
        """Answer, if there is something to tell."""
        page = piece.first(self._limit)
        self.place = page.next
        if page.items:
            self._answer(page)
        return page.event_count

    def tick(self, now: float) -> None:
        """Answer that there is nothing, when it is time."""
        super().tick(now)
        if not self.is_over and now - self.given_at >= self._seconds:
            self.part()

    def part(self) -> None:
        """Answer that there is nothing yet."""
        if not self.is_over:
            self._answer(Piece((), self.place))

    def end(self) -> None:
        """Answer that there is nothing, to one that stands above the end too: asking again tells why."""
        self._answer(Piece((), self.place))

    def _answer(self, piece: Piece) -> None:
        self.connection.send(json.encode(FeedPage.of(piece, self.tree_size)))
        super().end()
