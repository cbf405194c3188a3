import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from flask import Blueprint, Flask, abort
from flask.testing import FlaskClient
from flask_cors import CORS
from werkzeug.test import EnvironBuilder

from datastorage.platform.access.permissions import Permission
from datastorage.platform.metrics import Metrics
from datastorage.platform.web.http_metrics import HttpMetrics
from datastorage.platform.web.operations import Answer, operation
from tests.support.clocks import Seconds
from tests.support.small_app import SAID, Said, add, says, small_app


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def app(metrics: Metrics, clock: Seconds) -> Flask:
    http_metrics = HttpMetrics(metrics, clock=clock)
    app = small_app(views(clock), services={Metrics: metrics}, http_metrics=http_metrics)
    CORS(app, origins=["https://console.example"])
    return app


def views(clock: Seconds) -> Blueprint:
    blueprint = Blueprint("views", "views")
    add(blueprint, "/health/ready", says("ready"))
    add(blueprint, "/api/v1/workflows/by-name/<name>/versions", says("versions"))
    add(blueprint, "/api/v1/audit/events", CREATE, "POST")
    add(blueprint, "/api/v1/things/<uuid:key>", DELETE, "DELETE")
    add(blueprint, "/api/v1/busy", operation(Permission.READ)(lambda: abort(503)))
    add(blueprint, "/api/v1/broken", operation(Permission.READ)(broken))

    def get_incident() -> Said:
        clock.now += 0.3
        return Said("incident")

    def lines() -> Iterator[bytes]:
        yield b"first\n"
        clock.now += 4
        yield b"second\n"

    streamed = Answer(Said, 200, None, "Lines.", body=lambda _: lines(), stream=True)
    add(
        blueprint,
        "/api/v1/incidents/<int:incident_id>",
        operation(Permission.READ, answers=(SAID,))(get_incident),
    )
    add(blueprint, "/api/v1/export", operation(Permission.READ, answers=(streamed,))(lambda: Said("")))
    return blueprint


CREATE = operation(Permission.WRITE, answers=(Answer(Said, 201, None, "It is written."),))(lambda: Said(""))
NO_CONTENT = Answer(Said, 204, None, "It is gone.", body=lambda _: (), stream=True)
DELETE = operation(Permission.ADMIN, answers=(NO_CONTENT,))(lambda: Said(""))


def broken() -> NoReturn:
    raise RuntimeError("broken")


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def requests_counted(metrics: Metrics) -> dict[tuple[str, str, str], float]:
    """What was counted, without the series every process starts with."""
    return {
        (sample.labels["method"], sample.labels["path"], sample.labels["status"]): sample.value
        for family in metrics.http_request.collect()
        for sample in family.samples
        if sample.value
    }


def in_flight(metrics: Metrics) -> float | None:
    metrics.write_deferred()
    return metrics.registry.get_sample_value("datastorage_http_requests_in_flight")


def exceptions_counted(metrics: Metrics) -> float:
    return sum(
        sample.value for family in metrics.http_request_exceptions.collect() for sample in family.samples
    )


def send(app: Flask, path: str) -> "Sending":
    """Call the application as a server does, without reading the answer."""
    return Sending(app, EnvironBuilder(path=path).get_environ())


class Sending:
    def __init__(self, app: Flask, environ: WSGIEnvironment) -> None:
        start_response: StartResponse = self._start
        self.status = ""
        self.body = app(environ, start_response)

    def _start(self, status: str, headers: object, exc_info: object = None, /) -> Callable[[bytes], object]:
        del headers, exc_info
        self.status = status
        return lambda _: None

    def close(self) -> None:
        self.body.close()  # type: ignore[attr-defined] # every Flask answer has it


@pytest.mark.parametrize(
    ("method", "path", "counted"),
    [
        ("GET", "/api/v1/incidents/4711", ("GET", "/api/v1/incidents/:id", "200")),
        ("HEAD", "/api/v1/incidents/4711", ("HEAD", "/api/v1/incidents/:id", "200")),
        (
            "GET",
            "/api/v1/workflows/by-name/restart/versions",
            ("GET", "/api/v1/workflows/by-name/:id/versions", "200"),
        ),
        ("POST", "/api/v1/audit/events", ("POST", "/api/v1/audit/events", "201")),
        (
            "DELETE",
            "/api/v1/things/7f9c24e8-3b12-4fef-91e0-56a2d5a4a1c0",
            ("DELETE", "/api/v1/things/:id", "204"),
        ),
        ("GET", "/api/v1/nowhere", ("GET", "unmatched", "404")),
        ("PUT", "/api/v1/audit/events", ("PUT", "unmatched", "405")),
        ("BREW", "/api/v1/audit/events", ("OTHER", "unmatched", "405")),
        ("GET", "/api/v1/busy", ("GET", "/api/v1/busy", "503")),
        ("GET", "/api/v1/broken", ("GET", "/api/v1/broken", "500")),
        ("GET", "/healthy", ("GET", "unmatched", "404")),
    ],
)
def test_a_request_is_counted_by_method_route_and_status(
    client: FlaskClient, metrics: Metrics, method: str, path: str, counted: tuple[str, str, str]
) -> None:
    client.open(path, method=method)

    assert requests_counted(metrics) == {counted: 1}


def test_a_thousand_ids_and_unknown_paths_make_no_further_label_values(
    client: FlaskClient, metrics: Metrics
) -> None:
    for number in range(500):
        client.get(f"/api/v1/incidents/{number}")
        client.get(f"/{number}")
        client.open("/api/v1/busy", method=f"M{number}")

    paths = {path for _, path, _ in requests_counted(metrics)}
    methods = {method for method, _, _ in requests_counted(metrics)}
    assert paths == {"/api/v1/incidents/:id", "unmatched"}
    assert methods == {"GET", "OTHER"}


@pytest.mark.parametrize(
    "path", ["/metrics", "/health", "/health/ready", "/health/nonsense", "/readyz", "/healthz"]
)
def test_probes_and_scrapes_are_not_counted(client: FlaskClient, metrics: Metrics, path: str) -> None:
    client.get(path)

    assert requests_counted(metrics) == {}


def test_a_preflight_is_counted_like_any_request(client: FlaskClient, metrics: Metrics) -> None:
    headers = {"Origin": "https://console.example", "Access-Control-Request-Method": "POST"}

    answer = client.options("/api/v1/audit/events", headers=headers)

    assert answer.headers["Access-Control-Allow-Origin"] == "https://console.example"
    assert requests_counted(metrics) == {("OPTIONS", "/api/v1/audit/events", "200"): 1}


def test_the_duration_is_the_time_until_the_answer_is_ready(client: FlaskClient, metrics: Metrics) -> None:
    client.get("/api/v1/incidents/1")

    labels = {"method": "GET", "path": "/api/v1/incidents/:id", "status": "200"}
    name = "datastorage_http_request_duration_seconds"
    assert metrics.registry.get_sample_value(f"{name}_sum", labels) == pytest.approx(0.3)
    assert metrics.registry.get_sample_value(f"{name}_bucket", labels | {"le": "0.256"}) == 0
    assert metrics.registry.get_sample_value(f"{name}_bucket", labels | {"le": "0.512"}) == 1


def test_a_slow_reader_does_not_make_the_service_look_slow(
    app: Flask, metrics: Metrics, clock: Seconds
) -> None:
    answer = send(app, "/api/v1/incidents/1")
    clock.now += 60
    answer.close()

    labels = {"method": "GET", "path": "/api/v1/incidents/:id", "status": "200"}
    name = "datastorage_http_request_duration_seconds_sum"
    assert metrics.registry.get_sample_value(name, labels) == pytest.approx(0.3)


def test_an_answer_is_counted_before_its_first_byte_is_sent(app: Flask, metrics: Metrics) -> None:
    answer = send(app, "/api/v1/incidents/1")

    assert requests_counted(metrics) == {("GET", "/api/v1/incidents/:id", "200"): 1}
    answer.close()
    assert requests_counted(metrics) == {("GET", "/api/v1/incidents/:id", "200"): 1}


def test_a_streamed_answer_lasts_until_its_last_byte(app: Flask, metrics: Metrics) -> None:
    answer = send(app, "/api/v1/export")
    assert requests_counted(metrics) == {}

    body = b"".join(answer.body)
    answer.close()

    labels = {"method": "GET", "path": "/api/v1/export", "status": "200"}
    assert body == b"first\nsecond\n"
    assert metrics.registry.get_sample_value("datastorage_http_request_duration_seconds_sum", labels) == 4


def test_a_request_is_in_flight_until_the_server_closes_the_answer(app: Flask, metrics: Metrics) -> None:
    first, second = send(app, "/api/v1/incidents/1"), send(app, "/api/v1/export")
    assert in_flight(metrics) == 2

    first.close()
    assert in_flight(metrics) == 1
    second.close()
    assert in_flight(metrics) == 0


def test_a_client_that_goes_away_in_the_middle_leaves_nothing_in_flight(app: Flask, metrics: Metrics) -> None:
    answer = send(app, "/api/v1/export")
    next(iter(answer.body))

    answer.close()

    assert in_flight(metrics) == 0
    assert requests_counted(metrics) == {("GET", "/api/v1/export", "200"): 1}


def test_closing_twice_counts_once(app: Flask, metrics: Metrics) -> None:
    answer = send(app, "/api/v1/export")

    answer.close()
    answer.close()

    assert in_flight(metrics) == 0
    assert requests_counted(metrics) == {("GET", "/api/v1/export", "200"): 1}


def test_a_body_that_cannot_be_closed_is_still_gone(metrics: Metrics) -> None:
    class Stuck:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b""])

        def close(self) -> None:
            raise OSError("stuck")

    blueprint = Blueprint("stuck", "stuck")
    stuck = Answer(Said, 200, None, "Never ends.", body=lambda _: Stuck(), stream=True)
    add(blueprint, "/stuck", operation(Permission.READ, answers=(stuck,))(lambda: Said("")))
    app = small_app(blueprint, http_metrics=HttpMetrics(metrics))
    answer = send(app, "/stuck")

    with pytest.raises(OSError, match="stuck"):
        answer.close()

    assert in_flight(metrics) == 0


def test_an_unhandled_exception_is_counted_by_route(client: FlaskClient, metrics: Metrics) -> None:
    answer = client.get("/api/v1/broken")

    labels = {"method": "GET", "path": "/api/v1/broken"}
    assert answer.status_code == 500
    assert metrics.registry.get_sample_value("datastorage_http_request_exceptions_total", labels) == 1
    assert exceptions_counted(metrics) == 1


@pytest.mark.parametrize("path", ["/api/v1/busy", "/api/v1/nowhere", "/api/v1/incidents/1"])
def test_an_answer_on_purpose_is_no_unhandled_exception(
    client: FlaskClient, metrics: Metrics, path: str
) -> None:
    client.get(path)

    assert exceptions_counted(metrics) == 0


def test_an_unexpected_exception_counts_as_a_500(app: Flask, metrics: Metrics) -> None:
    send(app, "/api/v1/broken").close()

    assert requests_counted(metrics) == {("GET", "/api/v1/broken", "500"): 1}
    assert exceptions_counted(metrics) == 1
    assert in_flight(metrics) == 0


def test_the_metrics_endpoint_answers_in_the_text_format(client: FlaskClient) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=")
    assert "# HELP datastorage_audit_traces_total " in answer.text
    assert "# TYPE datastorage_audit_traces_total counter" in answer.text
    assert "# TYPE datastorage_http_request_duration_seconds histogram" in answer.text
    assert "_created" not in answer.text


def test_a_scrape_can_ask_for_some_names(client: FlaskClient) -> None:
    answer = client.get("/metrics?name[]=datastorage_db_up")

    assert answer.text.splitlines()[-1] == "datastorage_db_up 0.0"
    assert "datastorage_redis_up" not in answer.text


def test_a_scrape_measures_the_process(client: FlaskClient, metrics: Metrics) -> None:
    metrics.process_open_fds.set(0)

    client.get("/metrics")

    assert (metrics.registry.get_sample_value("datastorage_process_open_fds") or 0) > 0


WORKER = """
import sys
from flask import Blueprint
from tests.support.small_app import add, says, small_app

blueprint = Blueprint("worker", "worker")
add(blueprint, "/api/v1/incidents/<int:number>", says("incident"))
client = small_app(blueprint).test_client()
for number in range(int(sys.argv[1])):
    client.get(f"/api/v1/incidents/{number}").close()
print(client.get("/metrics?name[]=datastorage_db_up").text)
"""


def test_a_scrape_of_any_worker_shows_the_requests_of_all(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    exposition = ""
    for requests in ("3", "4"):
        command = [sys.executable, "-W", "error", "-c", WORKER, requests]
        exposition = subprocess.check_output(command, env=environment, text=True, timeout=30)  # noqa: S603 - ours

    labels = 'method="GET",path="/api/v1/incidents/:id",status="200"'
    assert f"datastorage_http_request_total{{{labels}}} 7.0" in exposition
    assert f"datastorage_http_request_duration_seconds_count{{{labels}}} 7.0" in exposition
    assert "datastorage_http_requests_in_flight 0.0" in exposition
