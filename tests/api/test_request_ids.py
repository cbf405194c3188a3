"""``X-Request-ID`` and ``X-Correlation-ID``."""

import json
import re

import pytest

from tests.support.builders import EVENTS, an_event, unique
from tests.support.http import JSON, Api, assert_problem
from tests.support.service import ServiceProcess
from tests.support.waiting import eventually

MADE_BY_US = re.compile(r"req-[0-9a-f]{32}")


@pytest.mark.parametrize("request_id", ["abc-1", "A.b_c:d-9", "x" * 128])
@pytest.mark.parametrize("path", [EVENTS, "/health/live", "/metrics", "/no/such/path"])
def test_harmless_id_is_kept(api: Api, path: str, request_id: str) -> None:
    answer = api.request("GET", path, headers={"X-Request-ID": request_id})

    assert answer.headers["X-Request-ID"] == request_id


@pytest.mark.parametrize("request_id", ["", "a/b", "x" * 300, "x" * 129, "with blank", "é", "a;b", "{}"])
def test_other_ids_are_replaced(api: Api, request_id: str) -> None:
    answer = api.request("GET", EVENTS, headers={"X-Request-ID": request_id})

    assert answer.status == 200
    assert MADE_BY_US.fullmatch(answer.headers["X-Request-ID"])


def test_line_break_in_an_id_never_reaches_an_answer(api: Api) -> None:
    answer = api.request("GET", EVENTS, headers={"X-Request-ID": "a\n b"})

    assert MADE_BY_US.fullmatch(answer.headers["X-Request-ID"])


def test_request_without_an_id_gets_one_of_its_own(api: Api) -> None:
    ids = {api.get(EVENTS).headers["X-Request-ID"] for _ in range(5)}

    assert len(ids) == 5
    assert all(MADE_BY_US.fullmatch(each) for each in ids)


def test_id_of_a_failed_request_is_in_its_problem_and_its_log_lines(service: ServiceProcess) -> None:
    request_id = unique("trace")

    answer = service.api.request("GET", f"{EVENTS}?limit=0", headers={"X-Request-ID": request_id})

    problem = assert_problem(answer, 400, "validation-error")
    assert problem["request_id"] == request_id
    eventually(lambda: request_id in service.log)
    lines = [json.loads(line) for line in service.log.splitlines() if request_id in line]
    assert {line["request_id"] for line in lines} == {request_id}
    last = lines[-1]
    assert (last["msg"], last["method"], last["path"], last["route"]) == (
        "HTTP request",
        "GET",
        EVENTS,
        EVENTS,
    )
    assert (last["status"], last["level"]) == (400, "info")
    assert "limit=0" not in json.dumps(last)


def test_every_log_line_of_a_write_has_its_id(service: ServiceProcess) -> None:
    request_id = unique("write")

    service.api.request(
        "POST", EVENTS, body=json.dumps(an_event()).encode(), headers=JSON | {"X-Request-ID": request_id}
    )

    eventually(lambda: '"HTTP request"' in lines_with(service, request_id))
    messages = [json.loads(line)["msg"] for line in lines_with(service, request_id).splitlines()]
    assert "Audit write finished" in messages
    assert "HTTP request" in messages


def lines_with(service: ServiceProcess, text: str) -> str:
    return "\n".join(line for line in service.log.splitlines() if text in line)


def test_correlation_id_is_echoed_when_received(api: Api) -> None:
    with_it = api.request("GET", EVENTS, headers={"X-Correlation-ID": "rr-2026-0114"})
    without = api.get(EVENTS)

    assert with_it.headers["X-Correlation-ID"] == "rr-2026-0114"
    assert "X-Correlation-ID" not in without.headers
