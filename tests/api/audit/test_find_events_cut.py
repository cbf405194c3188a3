"""``GET /api/v1/audit/events``: pages that end early because their rows are large."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from datastorage.audit.tables import audit_events
from tests.support.builders import EVENTS, an_event, now, unique
from tests.support.event_rows import an_event_row
from tests.support.http import Api
from tests.support.started import StartService
from tests.support.writes import batch_created, created

MIB = 1024 * 1024
PAGE_BYTES = 16 * MIB
COUNT = 40
Page = dict[str, Any]


@pytest.fixture(scope="module")
def large(api: Api) -> str:
    """Forty events of 0.7 MiB in one correlation."""
    ours = unique()
    payload = {"x": "y" * (7 * MIB // 10)}
    for _ in range(COUNT // 10):
        batch_created(api, [an_event(correlation_id=ours, event_data=payload) for _ in range(10)])
    return ours


@pytest.fixture(scope="module")
def narrow(start_service: StartService) -> Iterator[Api]:
    """A service whose pages hold a MiB."""
    service = start_service(LIMITS_MAX_PAGE_BYTES=str(MIB), SERVER_WORKERS="1")
    yield service.api
    service.stop()


def by_cursor(page: Page, _offset: int) -> dict[str, Any]:
    return {"cursor": page["pagination"]["next_cursor"]}


def by_limit_of_the_answer(page: Page, offset: int) -> dict[str, Any]:
    return {"offset": offset + page["pagination"]["limit"]}


def by_rows_received(page: Page, offset: int) -> dict[str, Any]:
    return {"offset": offset + len(page["data"])}


Follow = Callable[[Page, int], dict[str, Any]]


def read_pages(api: Api, filters: dict[str, Any], follow: Follow) -> list[Page]:
    pages: list[Page] = []
    further: dict[str, Any] = {}
    while True:
        answer = api.get(EVENTS, filters | further)
        assert answer.status == 200, answer.body[:1000]
        assert len(answer.body) <= PAGE_BYTES + 1000
        pages.append(answer.json)
        if not pages[-1]["pagination"]["has_more"]:
            return pages
        further = follow(pages[-1], further.get("offset", 0))


@pytest.mark.parametrize("follow", [by_cursor, by_limit_of_the_answer, by_rows_received])
@pytest.mark.parametrize(
    "further",
    [{}, {"include_total": "false"}, {"order": "asc"}, {"event_type": "gateway.signal.received"},
     {"event_data_contains": "{}"}],
    ids=str,
)  # fmt: skip
def test_page_of_large_rows_ends_early_and_nothing_is_missed(
    api: Api, large: str, follow: Follow, further: dict[str, str]
) -> None:
    first, *_, last = pages = read_pages(api, {"correlation_id": large, "limit": COUNT} | further, follow)

    rows = [event["event_id"] for page in pages for event in page["data"]]
    assert len(rows) == len(set(rows)) == COUNT
    assert first["pagination"]["truncated"] is True
    assert first["pagination"]["limit"] == len(first["data"]) == 22
    assert first["pagination"]["next_cursor"]
    assert "truncated" not in last["pagination"]
    assert last["pagination"]["limit"] == COUNT
    total = None if "include_total" in further else COUNT
    assert {page["pagination"]["total"] for page in pages} == {total}


@pytest.mark.parametrize("limit", [21, 22])
def test_page_that_fits_is_not_cut(api: Api, large: str, limit: int) -> None:
    page = api.get(EVENTS, {"correlation_id": large, "limit": limit}).json

    assert len(page["data"]) == limit
    assert page["pagination"]["has_more"] is True
    assert page["pagination"]["limit"] == limit
    assert "truncated" not in page["pagination"]


def test_page_has_one_row_at_least(narrow: Api) -> None:
    ours = unique()
    payload = {"x": "y" * (MIB - 100)}
    sent = [created(narrow, an_event(correlation_id=ours, event_data=payload)) for _ in range(3)]

    pages = read_pages(narrow, {"correlation_id": ours}, by_cursor)

    assert [len(page["data"]) for page in pages] == [1, 1, 1]
    assert [page["pagination"].get("truncated") for page in pages] == [True, True, None]
    assert [page["pagination"]["total"] for page in pages] == [3, 3, 3]
    assert len(sent) == 3


def test_rows_that_were_stored_before_numbers_counted_are_read_one_by_one(
    api: Api, owner: Connection
) -> None:
    ours, numbers = unique(), {"x": [10**308] * 60_000}
    at = [now(seconds=-second) for second in range(2)]
    rows = [an_event_row(correlation_id=ours, event_data=numbers, event_timestamp=each) for each in at]
    owner.execute(insert(audit_events), rows)

    first = api.get(EVENTS, {"correlation_id": ours})
    assert first.status == 200, first.body[:1000]
    second = api.get(EVENTS, {"correlation_id": ours, "cursor": first.json["pagination"]["next_cursor"]})

    for answer in (first, second):
        assert [event["event_data"] for event in answer.json["data"]] == [numbers]
    assert first.json["pagination"]["truncated"] is True
    assert second.json["pagination"]["has_more"] is False
    assert "truncated" not in second.json["pagination"]
