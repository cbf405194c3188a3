"""An export of events: which rows it has is decided at once, and then they are read page by page.

The keys of all rows come from one short transaction, so the export shows the moment it began: events that are
stored later are not in it, and the last row is known before the first is sent. Events never change, so the
rows can be read later, each page in a statement of its own.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec

from datastorage.errors import PartitionFailure
from datastorage.platform.db.keyset import Position
from datastorage.platform.exports import RunningExport
from datastorage.platform.web.lines import ExportEnd

PAGE_ROWS: Final = 500
"""Rows that are in memory at once."""
_ID_BYTES: Final = 16

SortKey = tuple[datetime, UUID, date]
RowKey = tuple[UUID, date]
ReadRows = Callable[[Sequence[RowKey]], Sequence[str]]
CursorBehind = Callable[[Position[UUID]], str]


class ExportKeys:
    """The keys of the rows of an export, in their order: 20 bytes each, a tuple would take 200.

    Args:
        found: one more than ``limit`` tells that there are further rows.
        limit: how many rows the export may have.

    Attributes:
        next_position: of the last row, if there are further ones.
    """

    def __init__(self, found: Iterable[SortKey], limit: int) -> None:
        self.next_position: Position[UUID] | None = None
        self._ids = bytearray()
        self._days = array("i")
        last: SortKey | None = None
        for key in found:
            if last is not None and len(self._days) == limit:
                self.next_position = Position(last[0], last[1])
                break
            self._ids += key[1].bytes
            self._days.append(key[2].toordinal())
            last = key

    def pages(self) -> Iterator[list[RowKey]]:
        """Yield the keys page by page; no page is empty."""
        for first in range(0, len(self._days), PAGE_ROWS):
            yield [self._key(place) for place in range(first, min(first + PAGE_ROWS, len(self._days)))]

    def _key(self, place: int) -> RowKey:
        begin = place * _ID_BYTES
        row_id = UUID(bytes=bytes(self._ids[begin : begin + _ID_BYTES]))
        return row_id, date.fromordinal(self._days[place])


class EventExport:
    """Lines of JSON that are read while they are sent.

    Args:
        keys: of its rows.
        read_rows: reads a page.
        running: its place among the exports that may run; says when it has taken too long.
        cursor_behind: makes the cursor that goes on behind a row.

    Attributes:
        tells_end: whether its last line tells whether it is complete.
        next_cursor: set when rows remain behind its last one.

    Raises:
        DatabaseError: the first page could not be read.
    """

    def __init__(
        self,
        keys: ExportKeys,
        read_rows: ReadRows,
        running: RunningExport,
        cursor_behind: CursorBehind,
        *,
        tells_end: bool,
    ) -> None:
        self.tells_end = tells_end
        self.next_cursor = cursor_behind(keys.next_position) if keys.next_position else None
        self._cursor_behind = cursor_behind
        self._running = running
        self._read_rows = read_rows
        self._pages = keys.pages()
        self._sent = 0
        self._last: str | None = None
        self._is_whole = False
        self._first = self._read_next()

    def pages(self) -> Iterator[Sequence[str]]:
        """Yield the lines of a page at a time.

        Raises:
            DatabaseError: a later page could not be read.
            ExportCut: it took too long, and has no last line to tell so.
        """
        rows, self._first = self._first, ()
        while rows:
            self._sent += len(rows)
            self._last = rows[-1]
            yield rows
            if not self.tells_end:
                self._running.cut_if_overdue()
            rows = self._read_next()
            if rows and self._running.is_overdue:
                return
        self._is_whole = True

    @property
    def end(self) -> ExportEnd:
        """Where it stands now."""
        if self._is_whole:
            reason = None if self.next_cursor is None else "max_rows"
            return ExportEnd(self._sent, {"next_cursor": self.next_cursor}, reason)
        cursor = None if self._last is None else self._cursor_behind(position_of(self._last))
        return ExportEnd(self._sent, {"next_cursor": cursor}, "max_duration")

    def _read_next(self) -> Sequence[str]:
        keys = next(self._pages, None)
        if keys is None:
            return ()
        rows = self._read_rows(keys)
        if len(rows) != len(keys):
            raise PartitionFailure("events were removed while they were exported", reason="partition_missing")
        return rows

    def close(self) -> None:
        """Make room for another export."""
        self._running.close()


class _Place(msgspec.Struct):
    """What the order of events goes by."""

    event_timestamp: datetime
    event_id: UUID


_PLACE: Final = msgspec.json.Decoder(_Place)


def position_of(text: str) -> Position[UUID]:
    """Return the place of an event in the order of events, read from its text."""
    place = _PLACE.decode(text)
    return Position(place.event_timestamp, place.event_id)
