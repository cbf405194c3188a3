"""``GET /api/v1/incidents``: pages that end early because their rows are large."""

from collections.abc import Callable
from json import loads
from typing import Any

import pytest

from tests.support.builders import unique
from tests.support.http import Api
from tests.support.incident_builders import BATCH, EXPORT, INCIDENTS, an_incident

MIB = 1024 * 1024
COUNT = 40
Page = dict[str, Any]


@pytest.fixture(scope="module")
def large(api: Api) -> str:
    """Forty incidents of 0.7 MiB in one correlation."""
    ours = unique()
    state = {"x": "y" * (7 * MIB // 10)}
    for _ in range(COUNT // 10):
        batch = [an_incident(correlation_id=ours, resource_state_before=state) for _ in range(10)]
        assert api.post(BATCH, batch).status == 201
    return ours


def by_cursor(page: Page, _offset: int) -> dict[str, Any]:
    return {"cursor": page["pagination"]["next_cursor"]}


def by_limit_of_the_answer(page: Page, offset: int) -> dict[str, Any]:
    return {"offset": offset + page["pagination"]["limit"]}


def by_rows_received(page: Page, offset: int) -> dict[str, Any]:
    return {"offset": offset + len(page["data"])}


@pytest.mark.parametrize("follow", [by_cursor, by_limit_of_the_answer, by_rows_received])
@pytest.mark.parametrize("count", ["exact", "none"])
def test_page_of_large_rows_ends_early_and_nothing_is_missed(
    api: Api, large: str, follow: Callable[[Page, int], dict[str, Any]], count: str
) -> None:
    wanted = {"correlation_id": large, "view": "full", "limit": COUNT, "count": count, "envelope": "data"}
    pages: list[Page] = []
    further: dict[str, Any] = {}
    while not pages or pages[-1]["pagination"]["has_more"]:
        answer = api.get(INCIDENTS, wanted | further)
        assert answer.status == 200, answer.body[:1000]
        assert len(answer.body) <= 16 * MIB + 1000
        pages.append(answer.json)
        further = follow(pages[-1], further.get("offset", 0))

    rows = [incident["id"] for page in pages for incident in page["data"]]
    first, last = pages[0], pages[-1]
    assert len(rows) == len(set(rows)) == COUNT
    assert first["pagination"]["truncated"] is True
    assert first["pagination"]["limit"] == len(first["data"]) == 22
    assert "truncated" not in last["pagination"]
    assert last["pagination"]["limit"] == COUNT
    assert {page["total"] for page in pages} == {COUNT if count == "exact" else None}


def test_summaries_of_large_rows_fit(api: Api, large: str) -> None:
    page = api.get(INCIDENTS, {"correlation_id": large, "limit": COUNT}).json

    assert len(page["data"]) == COUNT
    assert "truncated" not in page["pagination"]


def test_export_of_large_rows_is_complete(api: Api, large: str) -> None:
    lines = api.get(EXPORT, {"correlation_id": large, "view": "full"}).body.splitlines()

    assert len({loads(line)["id"] for line in lines[:-1]}) == COUNT
    assert loads(lines[-1])["_end"]["complete"] is True
