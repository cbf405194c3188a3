"""The usual write is answered before Flask is asked; nobody can tell from the answer."""

import json
from typing import Any

import pytest

from tests.support.builders import EVENTS, an_event, unique
from tests.support.http import JSON, Answer, Api, assert_problem
from tests.support.service import ServiceProcess
from tests.support.waiting import eventually

BY_FLASK = {"Content-Type": "application/json; charset=utf-8"}
"""A media type that is right, but not the usual one."""
VARYING = {"X-Request-ID", "Date", "X-Correlation-ID"}


def post(api: Api, event: dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
    return api.request("POST", EVENTS, body=json.dumps(event).encode(), headers=JSON | (headers or {}))


def alike(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in VARYING}


def lines_of(service: ServiceProcess, request_id: str, count: int) -> list[dict[str, Any]]:
    def lines() -> list[dict[str, Any]]:
        return [line for line in service.log_lines if line.get("request_id") == request_id]

    eventually(lambda: len(lines()) >= count)
    return lines()


def test_answer_is_the_same_on_both_ways(api: Api) -> None:
    short, long = post(api, an_event()), post(api, an_event(), BY_FLASK)

    assert short.status == long.status == 201
    assert alike(short) == alike(long)
    assert short.json.keys() == long.json.keys()


def test_client_gets_its_ids_back_on_both_ways(api: Api) -> None:
    sent = {"X-Request-ID": unique("req"), "X-Correlation-ID": unique()}

    for headers in ({}, BY_FLASK):
        answer = post(api, an_event(), sent | headers)

        assert {name: answer.headers[name] for name in sent} == sent


def test_id_that_could_harm_a_log_is_replaced_on_both_ways(api: Api) -> None:
    for headers in ({}, BY_FLASK):
        answer = post(api, an_event(), {"X-Request-ID": "a b"} | headers)

        assert answer.headers["X-Request-ID"].startswith("req-")


def test_log_says_the_same_on_both_ways(service: ServiceProcess) -> None:
    keys: list[list[set[str]]] = []
    for headers in ({}, BY_FLASK):
        request_id = unique("req")

        post(service.api, an_event(), {"X-Request-ID": request_id} | headers)

        lines = lines_of(service, request_id, 2)
        assert {line["msg"] for line in lines} == {"Audit write finished", "HTTP request"}
        assert {line.get("route") for line in lines} == {None, EVENTS}
        keys.append([set(line) for line in lines])
    assert keys[0] == keys[1]


@pytest.mark.parametrize("headers", [{}, BY_FLASK])
def test_event_under_anothers_id_is_a_conflict_on_both_ways(api: Api, headers: dict[str, str]) -> None:
    first = api.post(EVENTS, an_event())
    other = an_event(event_id=first.json["event_id"])

    answer = post(api, other, {"X-Request-ID": "req-conflict"} | headers)

    assert_problem(answer, 409, "conflict")
    assert answer.json["request_id"] == answer.headers["X-Request-ID"] == "req-conflict"


def test_refusal_is_explained_under_the_id_of_its_log_lines(service: ServiceProcess) -> None:
    answer = service.api.post(EVENTS, an_event(event_type=""))

    assert_problem(answer, 400, "validation-error")
    [line] = lines_of(service, answer.headers["X-Request-ID"], 1)
    assert (line["msg"], line["status"], line["route"]) == ("HTTP request", 400, EVENTS)


def written(service: ServiceProcess) -> float:
    """Return how many single events were answered 201, by all workers."""
    series = 'datastorage_http_request_total{method="POST",path="/api/v1/audit/events",status="201"}'
    text = service.metrics_api.get("/metrics").body.decode()
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(series)), 0.0)


def test_write_by_shortcut_is_counted_once(service: ServiceProcess) -> None:
    before = written(service)

    for headers in ({}, BY_FLASK):
        post(service.api, an_event(), headers)

    assert written(service) == before + 2


def test_write_with_a_body_that_was_awaited_is_counted_once(service: ServiceProcess) -> None:
    large = {"text": "x" * 200_000}
    before = written(service)
    counted = []

    for event in (an_event(event_data=large), an_event(), an_event(event_data=large), an_event()):
        post(service.api, event)
        counted.append(written(service) - before)

    assert counted == [1, 2, 3, 4]
