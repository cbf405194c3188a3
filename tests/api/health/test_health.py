"""The health endpoints while everything works."""

from datetime import UTC, datetime
from unittest.mock import ANY

import pytest

from tests.support.http import Api, assert_problem
from tests.support.service import ServiceProcess
from tests.support.waiting import eventually

BODIES = {
    "/health/live": {"status": "alive"},
    "/health/ready": {"status": "ready"},
    "/readyz": {"status": "ready"},
    "/health": {
        "status": "healthy",
        "database": "connected",
        "redis": "connected",
        "auth": "none",
        "ledger": "unsigned",
    },
}
PATHS = (*BODIES, "/healthz")


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


@pytest.mark.parametrize("port", ["api", "metrics"])
def test_healthz_says_when_it_answers(service: ServiceProcess, port: str) -> None:
    client = service.api if port == "api" else service.metrics_api

    answer = client.get("/healthz")

    assert answer.status == 200
    assert answer.json == {"status": "healthy", "timestamp": ANY}
    assert answer.headers["Cache-Control"] == "no-store"
    said = datetime.strptime(answer.json["timestamp"], "%Y-%m-%dT%H:%M:%S%z")
    assert abs((datetime.now(UTC) - said).total_seconds()) < 5


@pytest.mark.parametrize("path", PATHS)
def test_head_answers_without_a_body(api: Api, path: str) -> None:
    answer = api.request("HEAD", path)

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_not_allowed(api: Api, path: str, method: str) -> None:
    answer = api.request(method, path)

    assert_problem(answer, 405, "method-not-allowed")
    assert {"GET", "HEAD", "OPTIONS"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize("path", PATHS)
def test_probes_are_not_in_the_log_at_info(service: ServiceProcess, path: str) -> None:
    answer = service.api.request("GET", path, headers={"X-Request-ID": "probe-to-look-for"})

    later = service.api.get("/api/v1/audit/events").headers["X-Request-ID"]
    eventually(lambda: later in service.log)
    assert answer.status == 200
    assert "probe-to-look-for" not in service.log
