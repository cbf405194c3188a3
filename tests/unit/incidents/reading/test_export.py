from datetime import timedelta
from itertools import islice
from typing import Any

import pytest

from datastorage.errors import Unavailable
from datastorage.incidents.reading.export import PAGE_ROWS, IncidentExport
from datastorage.incidents.reading.model import ExportRequest, IncidentFilter
from datastorage.platform.db.keyset import Position
from datastorage.platform.db.stretches import Stretch
from datastorage.platform.exports import Exports
from datastorage.platform.metrics import Metrics


class Rows:
    """Rows numbered downwards, read a page at a time; remembers how many were asked for."""

    def __init__(self, count: int, fits: int = PAGE_ROWS) -> None:
        self.count = count
        self.fits = fits
        self.asked: list[int] = []

    def read(self, after: Position[int] | None, limit: int) -> Stretch:
        self.asked.append(limit)
        first = self.count if after is None else after.id - 1
        last = max(first - min(limit, self.fits), 0)
        return Stretch([row(number) for number in range(first, last, -1)], has_more=last > 0)

    def export(
        self, max_rows: int = 100_000, longest: timedelta = timedelta(hours=1), **changed: Any
    ) -> IncidentExport:
        wanted = ExportRequest(filter=IncidentFilter(), max_rows=max_rows)
        exports = Exports("incidents", maximum=1, longest=longest, metrics=Metrics())
        options: dict[str, Any] = {"is_shutting_down": lambda: False, "running": exports.begin()} | changed
        return IncidentExport(wanted, options.pop("read", self.read), **options)


def row(number: int) -> str:
    return f'{{"id":{number},"action_timestamp":"2026-11-20T10:15:00Z"}}'


def test_everything_is_yielded_once_in_pages() -> None:
    export = Rows(2500).export()

    pages = list(export.pages())

    assert [len(page) for page in pages] == [1000, 1000, 500]
    assert [text for page in pages for text in page] == [row(number) for number in range(2500, 0, -1)]
    assert (export.end.rows, export.end.place["next_cursor"], export.end.reason) == (2500, None, None)


def test_export_goes_on_behind_a_page_that_was_cut() -> None:
    export = Rows(25, fits=10).export(20)

    pages = list(export.pages())

    assert [len(page) for page in pages] == [10, 10]
    assert (export.end.rows, export.end.reason) == (20, "max_rows")


@pytest.mark.parametrize("count", [0, 1, PAGE_ROWS, 2 * PAGE_ROWS])
def test_whole_pages_leave_no_empty_one_behind(count: int) -> None:
    export = Rows(count).export()

    pages = list(export.pages())

    assert [len(page) for page in pages] == ([PAGE_ROWS] * (count // PAGE_ROWS) or [count])
    assert export.end.place["next_cursor"] is None


@pytest.mark.parametrize("max_rows", [1, 999, 1000, 1001, 2499])
def test_export_stops_at_max_rows_and_asks_for_no_more(max_rows: int) -> None:
    rows = Rows(2500)
    export = rows.export(max_rows)

    yielded = sum(len(page) for page in export.pages())

    assert yielded == max_rows
    assert (export.end.reason, export.end.place["next_cursor"] is None) == ("max_rows", False)
    assert sum(rows.asked) == max_rows


def test_export_of_exactly_max_rows_is_complete() -> None:
    export = Rows(2500).export(2500)

    list(export.pages())

    assert export.end.place["next_cursor"] is None


def test_shutdown_ends_it_between_two_pages() -> None:
    export = Rows(2500).export(is_shutting_down=lambda: True)

    pages = list(export.pages())

    assert len(pages) == 1
    assert (export.end.rows, export.end.reason) == (1000, "shutting_down")
    assert export.end.place["next_cursor"] is not None


def test_shutdown_after_the_last_page_changes_nothing() -> None:
    export = Rows(5).export(is_shutting_down=lambda: True)

    list(export.pages())

    assert (export.end.reason, export.end.place["next_cursor"]) == (None, None)


def test_failed_page_leaves_the_cursor_of_the_last_one_sent() -> None:
    rows = Rows(2500)

    def read_twice(after: Position[int] | None, limit: int) -> Stretch:
        if len(rows.asked) == 2:
            raise Unavailable("database unavailable - please retry")
        return rows.read(after, limit)

    export = rows.export(read=read_twice)
    pages = export.pages()

    assert len(list(islice(pages, 2))) == 2
    with pytest.raises(Unavailable):
        next(pages)
    assert export.end.rows == 2000
    assert export.end.place["next_cursor"] is not None


def test_export_that_takes_too_long_ends_with_a_cursor() -> None:
    export = Rows(2500).export(longest=timedelta())

    pages = list(export.pages())

    assert len(pages) == 1
    assert (export.end.rows, export.end.reason) == (1000, "max_duration")
    assert export.end.place["next_cursor"] is not None
