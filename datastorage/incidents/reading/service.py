"""What is decided about reading incidents: where a page ends, and how many exports run at once."""

from collections.abc import Callable

import msgspec

from datastorage.errors import NotFound, QueryTimeout
from datastorage.incidents.reading.cursor import cursor_after
from datastorage.incidents.reading.export import IncidentExport
from datastorage.incidents.reading.model import (
    Envelope,
    ExportRequest,
    Incident,
    IncidentPage,
    PageRequest,
)
from datastorage.incidents.reading.shared_pages import SharedPages
from datastorage.incidents.reading.store import IncidentStore
from datastorage.platform.db.keyset import Position
from datastorage.platform.db.stretches import Stretch
from datastorage.platform.exports import Exports
from datastorage.platform.metrics import Metrics
from datastorage.platform.metrics.timing import timed_query
from datastorage.platform.web.pages import Pagination

TOO_SLOW = "the list took too long - bound it in time with since, or leave out the total with count=none"


class IncidentService:
    """Lists, reads and exports incidents (BR-STORAGE-021, -022, -023, -027).

    Args:
        store: the table.
        exports: how many may run, and for how long.
        metrics: counts and durations of reads.
        is_shutting_down: ends exports between two pages.
    """

    def __init__(
        self,
        store: IncidentStore,
        exports: Exports,
        metrics: Metrics,
        is_shutting_down: Callable[[], bool],
    ) -> None:
        self._store = store
        self._pages = SharedPages(store.find_pages)
        self._metrics = metrics
        self._is_shutting_down = is_shutting_down
        self._exports = exports

    def find_page(self, wanted: PageRequest) -> IncidentPage:
        """Return one page and where it lies.

        Raises:
            DatabaseError: classified; a timeout says what makes the request cheaper.
        """
        try:
            with timed_query(self._metrics, "list"):
                found = self._pages.find(wanted)
        except QueryTimeout as error:
            error.detail = TOO_SLOW
            raise
        rows = found.rows
        next_cursor = cursor_after(rows.texts[-1], wanted.filter.fingerprint) if rows.has_more else None
        pagination = Pagination.of(
            rows, limit=wanted.limit, offset=wanted.offset, total=found.total, next_cursor=next_cursor
        )
        shown = [msgspec.Raw(text.encode("utf-8")) for text in rows.texts]
        return IncidentPage(
            data=None if wanted.envelope is Envelope.INCIDENTS else shown,
            incidents=None if wanted.envelope is Envelope.DATA else shown,
            total=found.total,
            pagination=pagination,
        )

    def find(self, incident_id: int) -> Incident:
        """Return one incident in full.

        Raises:
            NotFound: there is none with this id.
            DatabaseError: classified.
        """
        with timed_query(self._metrics, "get"):
            text = self._store.find(incident_id)
        if text is None:
            raise NotFound(f"no incident has the id {incident_id}", title="Incident Not Found")
        return Incident(text)

    def export(self, wanted: ExportRequest) -> IncidentExport:
        """Start an export; the caller closes it.

        Raises:
            TooManyExports: as many run as may.
            DatabaseError: the first page could not be read.
        """
        running = self._exports.begin()

        def read_page(after: Position[int] | None, limit: int) -> Stretch:
            with timed_query(self._metrics, "export"):
                return self._store.read_export(wanted, after=after, limit=limit)

        try:
            return IncidentExport(wanted, read_page, is_shutting_down=self._is_shutting_down, running=running)
        except BaseException:
            running.close()
            raise
