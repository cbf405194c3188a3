"""Browsers: off until origins are named."""

import pytest

from tests.support.builders import EVENTS
from tests.support.http import Api
from tests.support.started import StartService

CONSOLE = "https://console.example"
PREFLIGHT = {
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "Content-Type, X-Request-ID",
}


@pytest.fixture(scope="module")
def open_api(start_service: StartService) -> Api:
    """A service that names one origin."""
    return start_service(SERVER_CORS_ALLOWED_ORIGINS=CONSOLE).api


def listed(header: str) -> set[str]:
    return {each.strip().lower() for each in header.split(",")}


def test_no_origin_is_allowed_by_default(api: Api) -> None:
    answer = api.get(EVENTS, Origin=CONSOLE)
    preflight = api.request("OPTIONS", EVENTS, headers={"Origin": CONSOLE} | PREFLIGHT)

    assert answer.status == 200
    for each in (answer, preflight):
        assert not [name for name in each.headers if name.lower().startswith("access-control-")]


def test_named_origin_may_read_answers_and_their_headers(open_api: Api) -> None:
    answer = open_api.get(EVENTS, Origin=CONSOLE)

    assert answer.headers["Access-Control-Allow-Origin"] == CONSOLE
    assert listed(answer.headers["Access-Control-Expose-Headers"]) == {
        "link",
        "x-request-id",
        "location",
        "retry-after",
        "x-next-cursor",
    }
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_named_origin_may_read_problems(open_api: Api) -> None:
    answer = open_api.get(EVENTS, {"limit": "0"}, Origin=CONSOLE)

    assert answer.status == 400
    assert answer.headers["Access-Control-Allow-Origin"] == CONSOLE


def test_preflight_of_a_named_origin_lists_methods_and_headers(open_api: Api) -> None:
    answer = open_api.request("OPTIONS", EVENTS, headers={"Origin": CONSOLE} | PREFLIGHT)

    assert answer.status == 200
    assert listed(answer.headers["Access-Control-Allow-Methods"]) == {"get", "post", "patch", "options"}
    assert {"content-type", "x-request-id"} <= listed(answer.headers["Access-Control-Allow-Headers"])
    assert answer.headers["Access-Control-Max-Age"] == "300"


def test_other_origins_stay_out(open_api: Api) -> None:
    answer = open_api.get(EVENTS, Origin="https://elsewhere.example")

    assert answer.status == 200
    assert "Access-Control-Allow-Origin" not in answer.headers
