"""``GET /api/v1/audit/events``: pages by cursor."""

import base64
import json
from typing import Any

import pytest

from tests.support.builders import EVENTS, an_event, now, rfc3339, unique
from tests.support.http import Api, assert_problem
from tests.support.writes import batch_created


def store(api: Api, correlation_id: str, *ages_minutes: float) -> list[str]:
    events = [
        an_event(correlation_id=correlation_id, event_timestamp=rfc3339(now(minutes=-age)))
        for age in ages_minutes
    ]
    ids: list[str] = batch_created(api, events).json["event_ids"]
    return ids


def page(api: Api, correlation_id: str, **parameters: Any) -> tuple[list[str], dict[str, Any]]:
    answer = api.get(EVENTS, {"correlation_id": correlation_id, "limit": 7} | parameters)
    assert answer.status == 200, answer.body
    return [event["event_id"] for event in answer.json["data"]], answer.json["pagination"]


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_following_the_cursor_sees_every_row_once_while_rows_are_written(api: Api, order: str) -> None:
    ours = unique()
    there_before = store(api, ours, *range(10, 50))
    seen: list[str] = []
    cursor: dict[str, str] = {}

    for _ in range(20):
        ids, pagination = page(api, ours, order=order, **cursor)
        seen += ids
        # Newer than all, older than all, and somewhere in between.
        store(api, ours, 0, 100, 30.5)
        if not pagination["has_more"]:
            break
        cursor = {"cursor": pagination["next_cursor"]}

    assert len(seen) == len(set(seen))
    assert set(there_before) <= set(seen)


def test_rows_newer_than_the_cursor_do_not_appear_and_older_ones_do(api: Api) -> None:
    ours = unique()
    store(api, ours, *range(10, 20))
    first, pagination = page(api, ours)
    (newer,) = store(api, ours, 1)
    (older,) = store(api, ours, 60)

    second, last = page(api, ours, cursor=pagination["next_cursor"])

    assert len(first) == 7
    assert newer not in second
    assert second[-1] == older
    assert len(second) == 4
    assert (last["has_more"], last["next_cursor"]) == (False, None)


def test_rows_of_one_instant_are_told_apart_by_their_ids(api: Api) -> None:
    ours, at = unique(), rfc3339(now())
    events = [an_event(correlation_id=ours, event_timestamp=at) for _ in range(20)]
    stored = batch_created(api, events).json["event_ids"]
    seen: list[str] = []
    cursor: dict[str, str] = {}

    while True:
        ids, pagination = page(api, ours, limit=3, **cursor)
        seen += ids
        if not pagination["has_more"]:
            break
        cursor = {"cursor": pagination["next_cursor"]}

    assert seen == sorted(stored, reverse=True)


def test_page_by_offset_also_says_where_to_go_on(api: Api) -> None:
    ours = unique()
    stored = store(api, ours, *range(20))
    _, pagination = page(api, ours, offset=5)

    ids, _ = page(api, ours, cursor=pagination["next_cursor"])

    assert ids == stored[12:19]


def test_cursor_makes_the_offset_ineffective_but_counts_all_matches(api: Api) -> None:
    ours = unique()
    stored = store(api, ours, *range(20))
    _, pagination = page(api, ours)

    ids, second = page(api, ours, cursor=pagination["next_cursor"], offset=15)

    assert ids == stored[7:14]
    assert (second["offset"], second["total"], second["has_more"]) == (0, 20, True)


def test_cursor_after_the_last_row_finds_nothing(api: Api) -> None:
    ours = unique()
    store(api, ours, 5)
    beyond = encoded(
        {"t": "2000-01-01T00:00:00+00:00", "id": "f" * 8 + "-ffff" * 3 + "-" + "f" * 12, "o": "desc"}
    )

    ids, pagination = page(api, ours, cursor=beyond)

    assert ids == []
    assert (pagination["total"], pagination["has_more"], pagination["next_cursor"]) == (1, False, None)


def test_cursor_is_unpadded_base64url_of_the_last_row_and_the_order(api: Api) -> None:
    ours = unique()
    stored = store(api, ours, *range(8))

    _, pagination = page(api, ours)

    cursor = pagination["next_cursor"]
    members = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    assert not set(cursor) & set("+/=")
    assert stored[6] in members.values()
    assert "desc" in members.values()


def test_cursor_of_the_other_order_is_refused(api: Api) -> None:
    ours = unique()
    store(api, ours, *range(8))
    _, pagination = page(api, ours, order="asc")

    answer = api.get(EVENTS, {"correlation_id": ours, "cursor": pagination["next_cursor"]})

    problem = assert_problem(answer, 400, "validation-error")
    assert list(problem["field_errors"]) == ["cursor"]


def encoded(members: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()


ID = "0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11"
AT = "2026-01-14T08:00:00+00:00"


@pytest.mark.parametrize(
    "cursor",
    [
        "!!",
        "%21%21",
        "null",
        "ä",
        "A",
        encoded([AT, ID, "desc"]),
        encoded({"t": AT, "id": ID}),
        encoded({"t": AT, "id": "abc", "o": "desc"}),
        encoded({"t": AT, "id": None, "o": "desc"}),
        encoded({"t": 5, "id": ID, "o": "desc"}),
        encoded({"t": "yesterday", "id": ID, "o": "desc"}),
        encoded({"t": "2026-01-14T08:00:00", "id": ID, "o": "desc"}),
        encoded({"t": "0001-01-01T00:00:00+14:00", "id": ID, "o": "desc"}),
        encoded({"t": AT, "id": ID, "o": "desc", "x": "y" * 2000}),
    ],
)
def test_text_that_is_no_cursor_is_refused(api: Api, cursor: str) -> None:
    answer = api.get(EVENTS, {"cursor": cursor})

    problem = assert_problem(answer, 400, "validation-error")
    assert list(problem["field_errors"]) == ["cursor"]
