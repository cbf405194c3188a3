"""``POST /api/v1/incidents/batch``."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, select

from datastorage.tables import action_histories
from tests.support.builders import now, rfc3339, unique
from tests.support.http import Api, assert_problem
from tests.support.incident_builders import BATCH, INCIDENTS, an_incident


def test_new_incidents_are_created_in_order(api: Api) -> None:
    items = [an_incident() for _ in range(3)]

    answer = api.post(BATCH, items)

    result = answer.json
    assert answer.status == 201
    assert (result["created"], result["duplicates"]) == (3, 0)
    assert result["message"] == "3 incidents created, 0 duplicates skipped"
    assert [each["action_id"] for each in result["results"]] == [item["action_id"] for item in items]
    assert [(each["index"], each["status"]) for each in result["results"]] == [
        (0, "created"),
        (1, "created"),
        (2, "created"),
    ]
    assert [api.get(f"{INCIDENTS}/{each['id']}").json["action_id"] for each in result["results"]] == [
        item["action_id"] for item in items
    ]


def test_batch_sent_again_creates_nothing(api: Api) -> None:
    items = [an_incident() for _ in range(4)]
    first = api.post(BATCH, items)

    second = api.post(BATCH, items)

    assert (first.status, second.status) == (201, 200)
    assert (second.json["created"], second.json["duplicates"]) == (0, 4)
    assert [each["id"] for each in second.json["results"]] == [each["id"] for each in first.json["results"]]


def test_known_actions_are_skipped_and_reported(api: Api) -> None:
    known, new = an_incident(), an_incident()
    known_id = api.post(INCIDENTS, known).json["id"]

    result = api.post(BATCH, [known, new, new | {"severity": "low"}]).json

    assert [each["status"] for each in result["results"]] == ["duplicate", "created", "duplicate"]
    assert result["results"][0]["id"] == known_id
    assert result["results"][1]["id"] == result["results"][2]["id"]
    assert result["message"] == "1 incident created, 2 duplicates skipped"


def test_duplicates_are_not_counted_in_the_history(api: Api, owner: Connection) -> None:
    name = unique("web")
    items = [an_incident(resource_name=name) for _ in range(5)]
    api.post(BATCH, items)

    result = api.post(BATCH, [*items, an_incident(resource_name=name)]).json

    history_id = api.get(f"{INCIDENTS}/{result['results'][0]['id']}").json["action_history_id"]
    of_history = action_histories.c.id == history_id
    assert owner.execute(select(action_histories.c.total_actions).where(of_history)).scalar_one() == 6


def test_one_invalid_item_stores_none(api: Api) -> None:
    good, bad, other = an_incident(), an_incident(severity="urgent"), an_incident()

    problem = assert_problem(api.post(BATCH, [good, bad, other]), 400, "validation-error")

    assert list(problem["field_errors"]) == ["[1].severity"]
    assert "incident at index 1: severity" in problem["detail"]
    for item in (good, other):
        assert api.get(INCIDENTS, {"action_id": item["action_id"]}).json["total"] == 0


def test_unknown_history_stores_none(api: Api) -> None:
    good = an_incident()

    answer = api.post(BATCH, [good, an_incident(action_history_id=2**62)])

    problem = assert_problem(answer, 400, "validation-error")
    assert list(problem["field_errors"]) == ["[1].action_history_id"]
    assert api.get(INCIDENTS, {"action_id": good["action_id"]}).json["total"] == 0


@pytest.mark.parametrize("body", [[], {}, "x", None, 5])
def test_batch_is_an_array_with_items(api: Api, body: Any) -> None:
    problem = assert_problem(api.post(BATCH, body), 400, "validation-error")

    assert list(problem["field_errors"]) == ["body"]


def test_item_is_an_object(api: Api) -> None:
    problem = assert_problem(api.post(BATCH, [an_incident(), 5]), 400, "validation-error")

    assert list(problem["field_errors"]) == ["[1]"]


def test_thousand_items_are_the_most(api: Api) -> None:
    items = [an_incident(resource_name=f"web-{i % 7}") for i in range(1000)]

    fits = api.post(BATCH, items)
    too_many = api.post(BATCH, [*items, an_incident()])

    assert (fits.status, fits.json["created"]) == (201, 1000)
    problem = assert_problem(too_many, 400, "batch-size-exceeded")
    assert list(problem["field_errors"]) == ["body"]


def test_items_of_different_months_are_stored_together(api: Api) -> None:
    at = [rfc3339(now(days=-days)) for days in (0, 40, 90, 3000)]

    result = api.post(BATCH, [an_incident(action_timestamp=each) for each in at])

    assert result.json["created"] == 4


def test_batches_about_the_same_resources_wait_for_each_other(api: Api) -> None:
    names = [unique("web") for _ in range(12)]

    def send(number: int) -> int:
        order = names if number % 2 else names[::-1]
        return api.post(BATCH, [an_incident(resource_name=name) for name in order]).status

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(send, range(24)))

    assert statuses == {201}


def test_same_batch_at_once_is_stored_once(api: Api) -> None:
    items = [an_incident() for _ in range(20)]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: api.post(BATCH, items), range(6)))

    assert sum(answer.json["created"] for answer in answers) == 20
    assert len({tuple(each["id"] for each in answer.json["results"]) for answer in answers}) == 1
