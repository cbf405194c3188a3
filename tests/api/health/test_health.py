"""The health endpoints while everything works."""

import pytest

from tests.support.http import Api, assert_problem
from tests.support.service import ServiceProcess
from tests.support.waiting import eventually

BODIES = {
    "/health/live": {"status": "alive"},
    "/health/ready": {"status": "ready"},
    "/health": {"status": "healthy", "database": "connected", "redis": "connected", "auth": "none"},
}


@pytest.mark.parametrize(("path", "body"), BODIES.items())
@pytest.mark.parametrize("port", ["api", "metrics"])
def test_working_service_says_so_on_both_ports(
    service: ServiceProcess, port: str, path: str, body: dict[str, str]
) -> None:
    client = service.api if port == "api" else service.metrics_api

    answer = client.get(path)

    assert answer.status == 200
    assert answer.json == body
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", BODIES)
def test_head_answers_without_a_body(api: Api, path: str) -> None:
    answer = api.request("HEAD", path)

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_not_allowed(api: Api, path: str, method: str) -> None:
    answer = api.request(method, path)

    assert_problem(answer, 405, "method-not-allowed")
    assert {"GET", "HEAD", "OPTIONS"} <= set(answer.headers["Allow"].split(", "))


def test_probes_are_not_in_the_log_at_info(service: ServiceProcess) -> None:
    answer = service.api.request("GET", "/health/ready", headers={"X-Request-ID": "probe-to-look-for"})

    later = service.api.get("/api/v1/audit/events").headers["X-Request-ID"]
    eventually(lambda: later in service.log)
    assert answer.status == 200
    assert "probe-to-look-for" not in service.log
