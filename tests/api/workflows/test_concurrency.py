"""Many clients at once: one latest version, no lost update, no error that is nobody's fault."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support.builders import unique
from tests.support.http import Answer, Api
from tests.support.workflow_builders import (
    SEARCH,
    WORKFLOWS,
    a_search,
    a_workflow,
    labels,
    patch,
    path_of,
    register,
)


def at_once(*calls: Any) -> list[Answer]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [running.result() for running in [pool.submit(call) for call in calls]]


def create(api: Api, **fields: Any) -> Any:
    workflow = a_workflow(**fields)
    return lambda: api.post(WORKFLOWS, workflow)


def versions_of(api: Api, name: str) -> list[dict[str, Any]]:
    versions: list[dict[str, Any]] = api.get(f"{WORKFLOWS}/by-name/{name}/versions").json["versions"]
    return versions


def test_of_two_equal_creates_one_is_a_conflict(api: Api) -> None:
    name = unique("twice")

    answers = at_once(*(create(api, workflow_name=name) for _ in range(2)))

    assert sorted(answer.status for answer in answers) == [201, 409]
    assert len(versions_of(api, name)) == 1


def test_fifty_creates_of_a_name_leave_one_latest_while_fifty_searches_run(api: Api) -> None:
    name = unique("fifty")
    mandatory = f"{unique('Fifty')}/high/node/production/P1"
    register(api, workflow_name=name, version="0", labels=labels(mandatory))
    creates = [
        create(api, workflow_name=name, version=str(n), labels=labels(mandatory)) for n in range(1, 51)
    ]

    def search() -> Answer:
        return api.post(SEARCH, a_search(mandatory))

    answers = at_once(*(call for one in creates for call in (one, search)))

    created, found = answers[::2], answers[1::2]
    assert [answer.status for answer in created] == [201] * 50
    assert [(answer.status, answer.json["total_results"]) for answer in found] == [(200, 1)] * 50
    stored = versions_of(api, name)
    assert [each["is_latest_version"] for each in stored] == [True] + [False] * 50


def test_versions_form_a_chain_in_the_order_of_their_creation(api: Api) -> None:
    name = unique("chain")

    at_once(*(create(api, workflow_name=name, version=str(n)) for n in range(20)))

    newest_first = versions_of(api, name)
    previous = [each.get("previous_version") for each in newest_first]
    assert previous == [each["version"] for each in newest_first[1:]] + [None]
    assert newest_first[0]["is_latest_version"] is True


def test_updates_of_one_workflow_while_new_versions_come(api: Api) -> None:
    workflow = register(api)
    updates = [
        lambda count=count: patch(api, path_of(workflow), {"total_executions": count})
        for count in range(1, 21)
    ]
    creates = [create(api, workflow_name=workflow["workflow_name"], version=f"n{n}") for n in range(20)]

    answers = at_once(*(call for pair in zip(updates, creates, strict=True) for call in pair))

    assert [answer.status for answer in answers] == [200, 201] * 20
    assert api.get(path_of(workflow)).json["is_latest_version"] is False


def test_of_two_transitions_that_exclude_each_other_one_is_a_conflict(api: Api) -> None:
    workflow = register(api)

    answers = at_once(
        lambda: patch(api, path_of(workflow), {"status": "deprecated"}),
        lambda: patch(api, path_of(workflow), {"status": "disabled"}),
    )

    statuses = [answer.status for answer in answers]
    final = api.get(path_of(workflow)).json["status"]
    # Disabled first, both may happen; deprecated first, the other may not.
    assert (statuses, final) in [([200, 200], "deprecated"), ([200, 409], "deprecated")]
