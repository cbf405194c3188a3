"""The feed: the ledger from a leaf on, as a page, a stream or an export (ledger.md 5.4)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from datastorage.ledger.feed_page import FeedPage
from datastorage.ledger.followers import Followers, Promise
from datastorage.ledger.following import MOST_LOOKED, PIECE_LEAVES, FeedFilter, Following, Item, Piece
from datastorage.platform.db.stretches import Bound
from datastorage.platform.exports import Exports, RunningExport
from datastorage.platform.web.lines import ExportEnd

PIECE_BYTES: Final = 1024 * 1024


class Form(Enum):
    """In which form a reader wants the feed."""

    PAGE = auto()
    STREAM = auto()
    LINES = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedWanted:
    """What a reader asks for.

    Attributes:
        start: the first leaf; ``None`` for the lowest that is not archived.
        is_from_now: whether it is the end of the ledger instead.
        limit: items, at most; a stream has no limit.
        wait_seconds: how long a page may wait for something to tell.
        form: page, stream or lines.
        filter: which events.
    """

    start: int | None
    is_from_now: bool
    limit: int
    wait_seconds: int
    form: Form
    filter: FeedFilter


class HeldPage(Promise):
    """A page that is answered when there is something in it."""


class FeedStream(Promise):
    """A stream of events."""


class Feed:
    """Answers those who read on along the ledger.

    Every method raises a classified ``DatabaseError``, ``BeyondEnd`` and ``FeedGone``.

    Args:
        following: reads it.
        followers: those who wait for what comes.
        exports: how many may run, and for how long.
        is_shutting_down: ends exports.
        max_page_bytes: of the texts of a page.
    """

    def __init__(
        self,
        following: Following,
        followers: Followers,
        exports: Exports,
        is_shutting_down: Callable[[], bool],
        *,
        max_page_bytes: int,
    ) -> None:
        self._following = following
        self._followers = followers
        self._exports = exports
        self._is_shutting_down = is_shutting_down
        self._max_page_bytes = max_page_bytes

    def page(self, wanted: FeedWanted) -> FeedPage | HeldPage:
        """Return what there is from the leaf on; nothing at once, if the reader would like to wait.

        Raises:
            FollowersBusy: as many wait as may.
        """
        place, size = self._place(wanted)
        piece = self._read(place, size, wanted)
        if piece.items or not wanted.wait_seconds:
            return FeedPage.of(piece, size)
        follower = self._followers.hold(
            piece.next, wanted.filter, limit=wanted.limit, seconds=wanted.wait_seconds
        )
        return HeldPage(self._followers, follower)

    def stream(self, wanted: FeedWanted, last_seen: int | None) -> FeedStream:
        """Return a stream from the leaf on, or from the one behind the last that its reader has seen.

        Raises:
            FollowersBusy: as many follow as may.
        """
        place = self._place(wanted)[0] if last_seen is None else self._following.place(last_seen + 1)[0]
        return FeedStream(self._followers, self._followers.stream(place, wanted.filter))

    def export(self, wanted: FeedWanted) -> "FeedExport":
        """Start to send what there is from the leaf on.

        Raises:
            TooManyExports: as many run as may.
        """
        running = self._exports.begin()
        try:
            place, size = self._place(wanted)
            return FeedExport(
                self._following, wanted, (place, size), running, is_shutting_down=self._is_shutting_down
            )
        except BaseException:
            running.close()
            raise

    def _place(self, wanted: FeedWanted) -> tuple[int, int]:
        if wanted.is_from_now:
            size = self._following.size()
            return size, size
        return self._following.place(wanted.start)

    def _read(self, place: int, size: int, wanted: FeedWanted) -> Piece:
        """Return one page: pieces, until it is full or has looked at enough leaves."""
        end = min(size, place + MOST_LOOKED)
        items: list[Item] = []
        room = self._max_page_bytes
        while place < end and len(items) < wanted.limit and room > 0:
            bound = Bound(wanted.limit - len(items), room)
            piece = self._following.read(place, end, wanted.filter, bound)
            room -= sum(len(item.text.encode()) for item in piece.items)
            if items and room < 0:
                break  # a piece has one item in any case, the page has others already
            items += piece.items
            place = piece.next
        return Piece(items, place)


class FeedExport:
    """Leaves as lines, up to the end that the ledger had when it began.

    Args:
        following: reads them.
        wanted: the filter and the limit.
        between: the first leaf, and the end.
        running: its place among the exports that may run; says when it has taken too long.
        is_shutting_down: asked between pieces.

    Raises:
        DatabaseError: the first piece could not be read.
    """

    tells_end = True

    def __init__(
        self,
        following: Following,
        wanted: FeedWanted,
        between: tuple[int, int],
        running: RunningExport,
        *,
        is_shutting_down: Callable[[], bool],
    ) -> None:
        self._following = following
        self._wanted = wanted
        self._place, self._end = between
        self._running = running
        self._is_shutting_down = is_shutting_down
        self._sent = 0
        self._reason: str | None = None
        self._read = self._next()

    def pages(self) -> Iterator[Sequence[str]]:
        """Yield the lines of a piece at a time.

        Raises:
            DatabaseError: a later piece could not be read.
        """
        while True:
            piece = self._read
            self._sent += len(piece.items)
            self._place = piece.next
            yield [item.line for item in piece.items]
            if self._place >= self._end:
                return
            self._reason = self._reason_to_stop()
            if self._reason is not None:
                return
            self._read = self._next()

    def _reason_to_stop(self) -> str | None:
        if self._sent >= self._wanted.limit:
            return "limit"
        if self._running.is_overdue:
            return "max_duration"
        return "shutting_down" if self._is_shutting_down() else None

    def _next(self) -> Piece:
        if self._place >= self._end:
            return Piece((), self._place)
        bound = Bound(min(PIECE_LEAVES, self._wanted.limit - self._sent), PIECE_BYTES)
        return self._following.read(self._place, self._end, self._wanted.filter, bound)

    @property
    def end(self) -> ExportEnd:
        """Where it stands now."""
        return ExportEnd(self._sent, {"next": self._place}, self._reason)

    def close(self) -> None:
        """Make room for another export; safe to call again."""
        self._running.close()
