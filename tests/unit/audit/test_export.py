"""Which rows an export has is decided once; a page that lacks one is never passed off as whole."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from msgspec import json

from datastorage.audit.export import PAGE_ROWS, EventExport, ExportKeys, RowKey, SortKey
from datastorage.errors import PartitionFailure, Unavailable
from datastorage.platform.exports import Exports, TooManyExports
from datastorage.platform.metrics import Metrics
from datastorage.platform.web.lines import Lines

BEGIN = datetime(2026, 1, 31, 23, 59, 50, tzinfo=UTC)


def sort_keys(count: int) -> list[SortKey]:
    times = [BEGIN + timedelta(seconds=number) for number in range(count)]
    return [(time, uuid4(), time.date()) for time in times]


def row_keys(found: Sequence[SortKey]) -> list[RowKey]:
    return [(row_id, day) for _, row_id, day in found]


@pytest.mark.parametrize("count", [0, 1, PAGE_ROWS, PAGE_ROWS + 1, 2 * PAGE_ROWS])
def test_keys_come_back_page_by_page(count: int) -> None:
    found = sort_keys(count)

    pages = list(ExportKeys(found, limit=count or 1).pages())

    assert [key for page in pages for key in page] == row_keys(found)
    assert all(len(page) == PAGE_ROWS for page in pages[:-1])


@pytest.mark.parametrize(("count", "has_more"), [(2, False), (3, False), (4, True)])
def test_position_of_the_last_row_is_known_where_rows_remain(count: int, has_more: bool) -> None:  # noqa: FBT001 - a parameter
    found = sort_keys(count)

    keys = ExportKeys(found, limit=3)

    position = keys.next_position
    assert [key for page in keys.pages() for key in page] == row_keys(found[:3])
    assert (position is not None) is has_more
    if position is not None:
        assert (position.at, position.id) == found[2][:2]


@pytest.fixture
def exports() -> Exports:
    return Exports("audit", maximum=1, longest=timedelta(minutes=1), metrics=Metrics())


def test_page_that_lacks_a_row_ends_the_export(exports: Exports) -> None:
    """A month may be removed while its events are exported."""
    found = sort_keys(PAGE_ROWS + 2)
    removed: UUID = found[-1][1]

    def read_rows(keys: Sequence[RowKey]) -> list[str]:
        return [str(row_id) for row_id, _ in keys if row_id != removed]

    export = EventExport(
        ExportKeys(found, limit=1000),
        read_rows,
        exports.begin(),
        lambda place: str(place.id),
        tells_end=False,
    )
    pages = export.pages()

    assert len(next(pages)) == PAGE_ROWS
    with pytest.raises(PartitionFailure):
        next(pages)


def text_of(key: SortKey) -> str:
    return json.encode({"event_timestamp": key[0], "event_id": key[1]}).decode()


@pytest.mark.parametrize("longest", [timedelta(minutes=1), timedelta()], ids=["in time", "too long"])
def test_end_says_where_another_export_goes_on(longest: timedelta) -> None:
    found = sort_keys(PAGE_ROWS + 3)
    texts = {key[1]: text_of(key) for key in found}
    exports = Exports("audit", maximum=1, longest=longest, metrics=Metrics())

    export = EventExport(
        ExportKeys(found, limit=PAGE_ROWS + 2),
        lambda keys: [texts[event_id] for event_id, _ in keys],
        exports.begin(),
        lambda place: str(place.id),
        tells_end=True,
    )
    sent = [text for page in export.pages() for text in page]

    end = export.end
    reason = "max_rows" if longest else "max_duration"
    assert (end.rows, end.reason) == (len(sent), reason)
    assert end.members["complete"] is False
    assert end.members["next_cursor"] == str(found[len(sent) - 1][1])


def test_export_that_breaks_goes_on_behind_the_last_row_that_was_sent(exports: Exports) -> None:
    found = sort_keys(PAGE_ROWS + 3)
    texts = {key[1]: text_of(key) for key in found}

    def read_rows(keys: Sequence[RowKey]) -> list[str]:
        if keys[0][0] != found[0][1]:
            raise Unavailable("database unavailable - please retry")
        return [texts[event_id] for event_id, _ in keys]

    export = EventExport(
        ExportKeys(found, limit=1000), read_rows, exports.begin(), lambda place: str(place.id), tells_end=True
    )
    *lines, last = b"".join(Lines(export, "/events")).splitlines()

    error = json.decode(last)["_error"]
    assert len(lines) == PAGE_ROWS
    assert (error["status"], error["rows"]) == (503, PAGE_ROWS)
    assert error["next_cursor"] == str(found[PAGE_ROWS - 1][1])


def test_export_makes_room_once_it_is_closed(exports: Exports) -> None:
    running = exports.begin()
    with pytest.raises(TooManyExports):
        exports.begin()

    running.close()
    running.close()

    exports.begin()
    with pytest.raises(TooManyExports):
        exports.begin()
