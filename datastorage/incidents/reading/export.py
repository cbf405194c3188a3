"""An export under way: one page after another, each in a transaction of its own.

No connection is held while bytes are written, so a slow reader cannot drain the pool, and memory is
bounded by a page.
"""

from collections.abc import Callable, Iterator

from datastorage.incidents.reading.cursor import cursor_after, position_of
from datastorage.incidents.reading.model import ExportRequest
from datastorage.platform.db.keyset import Position
from datastorage.platform.db.stretches import Stretch
from datastorage.platform.exports import RunningExport
from datastorage.platform.web.lines import ExportEnd

PAGE_ROWS = 1000

ReadPage = Callable[[Position[int] | None, int], Stretch]


class IncidentExport:
    """Pages of incidents, the first of which is read before anything is sent.

    Args:
        wanted: the filter and the number of rows at most.
        read_page: reads a stretch of up to so many rows behind a position.
        is_shutting_down: asked between pages.
        running: its place among the exports that may run; says when it has taken too long.

    Raises:
        DatabaseError: the first page could not be read.
    """

    tells_end = True

    def __init__(
        self,
        wanted: ExportRequest,
        read_page: ReadPage,
        *,
        is_shutting_down: Callable[[], bool],
        running: RunningExport,
    ) -> None:
        self._wanted = wanted
        self._read_page = read_page
        self._is_shutting_down = is_shutting_down
        self._running = running
        self._reason: str | None = None
        self._sent = 0
        self._next_cursor: str | None = None
        self._rows = self._read(wanted.after)

    def pages(self) -> Iterator[list[str]]:
        """Yield the rows, page by page; afterwards ``end`` tells why there are no more.

        Raises:
            DatabaseError: a later page could not be read.
        """
        while True:
            read, self._rows = self._rows, Stretch([])
            page, fingerprint = read.texts, self._wanted.filter.fingerprint
            self._sent += len(page)
            self._next_cursor = cursor_after(page[-1], fingerprint) if read.has_more else None
            yield page
            cursor = self._next_cursor
            self._reason = self._reason_to_stop() if read.has_more else None
            if cursor is None or self._reason is not None:
                return
            self._rows = self._read(position_of(cursor, fingerprint))

    def _reason_to_stop(self) -> str | None:
        if self._room() <= 0:
            return "max_rows"
        if self._running.is_overdue:
            return "max_duration"
        return "shutting_down" if self._is_shutting_down() else None

    def _room(self) -> int:
        return min(PAGE_ROWS, self._wanted.max_rows - self._sent)

    def _read(self, after: Position[int] | None) -> Stretch:
        return self._read_page(after, self._room())

    @property
    def end(self) -> ExportEnd:
        """Where it stands now."""
        return ExportEnd(self._sent, {"next_cursor": self._next_cursor}, self._reason)

    def close(self) -> None:
        """Make room for another export; safe to call again."""
        self._running.close()
