"""Paths and methods that nobody answers, and what every answer has."""

import pytest

from tests.support.builders import BATCH, EVENTS, NOTIFICATIONS
from tests.support.http import Api, assert_problem
from tests.support.service import ServiceProcess


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/no/such/path",
        "/api/v1/audit/event",
        f"{EVENTS}/",
        f"{EVENTS}/a/b",
        "/api/v1/audit/",
        "/api//v1/audit/events",
        "/API/v1/audit/events",
        "/health/",
        "/metrics/",
        "/%00",
        "/%ff",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_path_is_not_found(api: Api, method: str, path: str) -> None:
    answer = api.request(method, path)

    problem = assert_problem(answer, 404, "not-found")
    assert problem["title"] == "Not Found"
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", EVENTS, {"GET", "HEAD", "OPTIONS", "POST"}),
        ("DELETE", f"{EVENTS}/0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11", {"GET", "HEAD", "OPTIONS"}),
        ("PUT", BATCH, {"OPTIONS", "POST"}),
        ("PATCH", NOTIFICATIONS, {"OPTIONS", "POST"}),
        ("GET", "/api/v1/audit", {"OPTIONS", "POST"}),
        ("POST", "/metrics", {"GET", "HEAD", "OPTIONS"}),
        ("TRACE", EVENTS, {"GET", "HEAD", "OPTIONS", "POST"}),
        ("BREW", EVENTS, {"GET", "HEAD", "OPTIONS", "POST"}),
    ],
)
def test_known_path_names_the_methods_it_allows(api: Api, method: str, path: str, allowed: set[str]) -> None:
    answer = api.request(method, path)

    problem = assert_problem(answer, 405, "method-not-allowed")
    assert allowed <= set(answer.headers["Allow"].split(", "))
    assert method not in answer.headers["Allow"].split(", ")
    assert method in problem["detail"]


def test_options_names_the_methods_of_a_path(api: Api) -> None:
    answer = api.request("OPTIONS", EVENTS)

    assert answer.status == 200
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert answer.headers["X-Request-ID"]


def test_problem_without_body_answers_head(api: Api) -> None:
    answer = api.request("HEAD", "/no/such/path")

    assert (answer.status, answer.body) == (404, b"")
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", [EVENTS, "/health", "/metrics", "/no/such/path"])
def test_no_answer_may_be_kept_by_a_cache(api: Api, path: str) -> None:
    answer = api.get(path)

    assert answer.headers["Cache-Control"] == "no-store"


def test_metrics_port_serves_metrics_and_health_only(service: ServiceProcess) -> None:
    events = service.metrics_api.get(EVENTS)
    write = service.metrics_api.post(EVENTS, {})
    metrics = service.metrics_api.get("/metrics")
    health = service.metrics_api.get("/health")

    assert_problem(events, 404, "not-found")
    assert_problem(write, 404, "not-found")
    assert (metrics.status, health.status) == (200, 200)


def test_request_line_that_is_too_long_is_refused_as_a_problem(api: Api) -> None:
    answer = api.get(EVENTS, {"correlation_id": "x" * 9000})

    assert_problem(answer, 414, "uri-too-long")
