"""Following ``next_cursor``: every row once, whatever is inserted meanwhile."""

from urllib.parse import quote

import pytest

from tests.support.builders import now, rfc3339, unique
from tests.support.http import Api, assert_problem
from tests.support.incident_builders import BATCH, INCIDENTS, an_incident
from tests.support.incident_stand import ids


def test_cursor_leads_through_the_whole_result(twelve: Api) -> None:
    pages = [twelve.get(f"{INCIDENTS}?limit=5")]
    while cursor := pages[-1].json["pagination"]["next_cursor"]:
        pages.append(twelve.get(f"{INCIDENTS}?limit=5&cursor={cursor}"))

    assert [len(ids(page)) for page in pages] == [5, 5, 2]
    assert [incident for page in pages for incident in ids(page)] == ids(twelve.get(INCIDENTS))
    assert [page.json["total"] for page in pages] == [12, None, None]
    assert pages[-1].json["pagination"]["has_more"] is False


def test_cursor_of_an_offset_page_goes_on_from_there(twelve: Api) -> None:
    cursor = twelve.get(f"{INCIDENTS}?limit=2&offset=8").json["pagination"]["next_cursor"]

    assert ids(twelve.get(f"{INCIDENTS}?cursor={cursor}")) == [10, 12]


def test_offset_is_ignored_beside_a_cursor_but_judged(twelve: Api) -> None:
    cursor = twelve.get(f"{INCIDENTS}?limit=9").json["pagination"]["next_cursor"]

    page = twelve.get(f"{INCIDENTS}?cursor={cursor}&offset=2")

    assert ids(page) == [11, 10, 12]
    assert page.json["pagination"]["offset"] == 0
    assert_problem(twelve.get(f"{INCIDENTS}?cursor={cursor}&offset=-2"), 400, "invalid-offset")


def test_total_beside_a_cursor_counts_the_whole_result_on_request(twelve: Api) -> None:
    cursor = twelve.get(f"{INCIDENTS}?limit=9").json["pagination"]["next_cursor"]

    assert twelve.get(f"{INCIDENTS}?cursor={cursor}&count=exact").json["total"] == 12


@pytest.mark.parametrize("query", ["namespace=staging", "since=30d", "alert_name=x"])
def test_cursor_belongs_to_its_filters(twelve: Api, query: str) -> None:
    cursor = twelve.get(f"{INCIDENTS}?limit=1").json["pagination"]["next_cursor"]

    assert_problem(twelve.get(f"{INCIDENTS}?{query}&cursor={cursor}"), 400, "invalid-cursor")


def test_cursor_does_not_depend_on_the_order_of_parameters(twelve: Api) -> None:
    first = twelve.get(f"{INCIDENTS}?namespace=production&since=30d&limit=3").json
    cursor = first["pagination"]["next_cursor"]

    rest = twelve.get(f"{INCIDENTS}?since=30d&cursor={cursor}&view=full&namespace=production")

    assert ids(rest) == [11, 10]


def test_rows_inserted_meanwhile_neither_repeat_nor_hide_others(api: Api) -> None:
    namespace = unique("ns")
    api.post(
        BATCH,
        [an_incident(namespace=namespace, action_timestamp=rfc3339(now(seconds=-i))) for i in range(1, 31)],
    )
    before = ids(api.get(INCIDENTS, {"namespace": namespace}))
    seen: list[int] = []
    path = f"{INCIDENTS}?namespace={quote(namespace)}&limit=7"
    page = api.get(path)

    while True:
        seen += ids(page)
        api.post(INCIDENTS, an_incident(namespace=namespace))
        cursor = page.json["pagination"]["next_cursor"]
        if cursor is None:
            break
        page = api.get(f"{path}&cursor={cursor}")

    assert seen == before
    assert len(seen) == 30
