"""Traces of real requests, as a collector receives them."""

import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.builders import EVENTS, an_event, unique
from tests.support.collector import Collector, ReceivedSpan, collecting
from tests.support.http import JSON
from tests.support.service import ServiceProcess
from tests.support.started import StartService
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def traced(start_service: StartService, collector: Collector) -> Iterator[ServiceProcess]:
    """A service that traces everything, and exports at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield start_service(**tracing_to(collector.url))


def tracing_to(url: str) -> dict[str, str]:
    return {"TELEMETRY_ENABLED": "true", "TELEMETRY_OTLP_ENDPOINT": url, "TELEMETRY_SAMPLE_RATIO": "1"}


def a_parent(*, is_sampled: bool = True) -> tuple[str, str, dict[str, str]]:
    """Return a trace id, the id of the caller's span, and the header that names both."""
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    return trace_id, span_id, {"traceparent": f"00-{trace_id}-{span_id}-{int(is_sampled):02}"}


def server_span(spans: list[ReceivedSpan]) -> ReceivedSpan:
    [found] = [span for span in spans if span.kind == Span.SPAN_KIND_SERVER]
    return found


def test_read_is_a_span_with_the_wait_and_the_statements_below_it(
    traced: ServiceProcess, collector: Collector
) -> None:
    secret = unique("nobody-must-see")
    trace_id, caller, header = a_parent()

    assert traced.api.request("GET", EVENTS, params={"correlation_id": secret}, headers=header).status == 200

    spans = collector.wait_for_trace(trace_id)
    server = server_span(spans)
    assert (server.name, server.parent_id, server.is_error) == (f"GET {EVENTS}", caller, False)
    assert server.attributes["http.route"] == server.attributes["url.path"] == EVENTS
    assert server.attributes["http.response.status_code"] == 200
    children = [span for span in spans if span is not server]
    assert {span.parent_id for span in children} == {server.span_id}
    assert {span.name for span in children} == {"wait for a connection", "SELECT"}
    statements = [str(span.attributes["db.query.text"]) for span in children if span.name == "SELECT"]
    assert any("audit_events.correlation_id = %(" in statement for statement in statements)
    assert all(server.start_ns <= span.start_ns <= span.end_ns <= server.end_ns for span in children)
    assert secret not in str(spans)
    assert server.resource["service.name"] == "datastorage"
    assert collector.paths == {"/v1/traces"}


def test_write_shows_its_statement_and_its_redis_commands_without_values(
    traced: ServiceProcess, collector: Collector
) -> None:
    secret = unique("nobody-must-see")
    trace_id, _, header = a_parent()
    event = an_event(correlation_id=secret, parent_event_id=str(uuid4()))

    traced.api.request("POST", EVENTS, body=json.dumps(event).encode(), headers=JSON | header)

    spans = collector.wait_for_trace(trace_id)
    assert server_span(spans).name == f"POST {EVENTS}"
    systems = {span.attributes.get("db.system.name") for span in spans}
    assert {"postgresql", "redis"} <= systems, spans
    assert secret not in str(spans)
    assert event["parent_event_id"] not in str(spans)


def test_span_names_the_route_and_the_request_id_and_the_log_names_the_span(
    traced: ServiceProcess, collector: Collector
) -> None:
    trace_id, _, header = a_parent()
    request_id = unique("traced")

    headers = header | {"X-Request-ID": request_id}
    answer = traced.api.request("GET", f"{EVENTS}/{uuid4()}", headers=headers)

    assert answer.status == 404
    server = server_span(collector.wait_for_trace(trace_id))
    assert server.name == f"GET {EVENTS}/:id"
    assert server.attributes["datastorage.request_id"] == request_id
    eventually(lambda: request_id in traced.log)
    lines = [json.loads(line) for line in traced.log.splitlines() if request_id in line]
    assert {(line["trace_id"], line["span_id"]) for line in lines} == {(trace_id, server.span_id)}


def test_caller_decides_whether_its_trace_is_kept(traced: ServiceProcess, collector: Collector) -> None:
    unwanted, _, unsampled = a_parent(is_sampled=False)
    wanted, _, sampled = a_parent()

    traced.api.request("GET", EVENTS, headers=unsampled)
    traced.api.request("GET", EVENTS, headers=sampled)

    collector.wait_for_trace(wanted)
    assert collector.trace(unwanted) == []


def test_streamed_answer_is_one_span_until_its_end(traced: ServiceProcess, collector: Collector) -> None:
    trace_id, _, header = a_parent()

    assert (
        traced.api.request(
            "GET", EVENTS, params={"format": "ndjson", "event_category": "gateway"}, headers=header
        ).status
        == 200
    )

    spans = collector.wait_for_trace(trace_id)
    server = server_span(spans)
    assert all(span.end_ns <= server.end_ns for span in spans)
    assert len({span.parent_id for span in spans if span is not server}) == 1


def test_refused_body_is_a_trace_too(traced: ServiceProcess, collector: Collector) -> None:
    trace_id, _, header = a_parent()

    traced.api.request("POST", EVENTS, body=b"{", headers=JSON | header)

    server = server_span(collector.wait_for_trace(trace_id))
    assert (server.attributes["http.response.status_code"], server.is_error) == (400, False)


def test_probes_scrapes_and_background_work_are_no_traces(
    traced: ServiceProcess, collector: Collector
) -> None:
    for path in ("/health", "/health/ready", "/health/live", "/metrics"):
        traced.api.get(path)
    trace_id, _, header = a_parent()
    traced.api.request("GET", "/no/such/path", headers=header)

    collector.wait_for_trace(trace_id)
    assert "GET unmatched" in collector.names
    assert not [name for name in collector.names if "/health" in name or "/metrics" in name]
    assert not [name for name in collector.names if name.startswith(("XREAD", "XINFO", "PING"))]


def test_last_spans_are_sent_when_the_service_stops(start_service: StartService) -> None:
    with collecting() as collector:
        service = start_service(**tracing_to(collector.url))
        trace_id, _, header = a_parent()
        service.api.request("GET", EVENTS, headers=header)

        code = service.stop()

        assert code == 0
        assert server_span(collector.trace(trace_id)).name == f"GET {EVENTS}"


def test_collector_that_never_answers_costs_nothing(start_service: StartService) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        service = start_service(**tracing_to(f"http://127.0.0.1:{silent.getsockname()[1]}"))
        service.api.post(EVENTS, an_event())
        began = time.monotonic()
        statuses = {service.api.post(EVENTS, an_event()).status for _ in range(100)}
        seconds = time.monotonic() - began
        stopping = time.monotonic()
        code = service.stop()
        stop_seconds = time.monotonic() - stopping

    assert statuses == {201}
    assert seconds < 10
    assert code == 0
    assert stop_seconds < 8


@pytest.mark.parametrize("installed", [True, False], ids=["installed", "not installed"])
def test_service_without_traces_imports_nothing_of_them(installed: bool) -> None:  # noqa: FBT001 - a parameter
    # The Redis library looks for the metrics of OpenTelemetry by itself; what makes and sends traces is ours.
    block = "" if installed else "import sys; sys.modules['opentelemetry'] = None"

    result = subprocess.run(  # noqa: S603 - our own Python
        [sys.executable, "-c", block + ANSWER_ONE_REQUEST], capture_output=True, text=True, check=False
    )

    assert result.stderr == "[]\n"


ANSWER_ONE_REQUEST = """
import sys
from datastorage.app import create_app
from datastorage.settings import Settings
servers = {
    "DATASTORAGE_DATABASE_URL": "postgresql://app@127.0.0.1:1/none",
    "DATASTORAGE_REDIS_URL": "redis://127.0.0.1:1/0",
}
assert create_app(Settings.from_environ(servers)).test_client().get("/health/live").status_code == 200
ours = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "datastorage.platform.tracing", "google")
sys.exit(str([name for name in sys.modules if name.startswith(ours)]))
"""
