"""``datastorage demo`` against a running service, and against what only looks like one."""

import json
import re
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import NamedTuple

import pytest
import urllib3

from datastorage.demo.content import EVENT_TYPES, SHELF
from tests.support.http import Api
from tests.support.service import ServiceProcess, free_port
from tests.support.started import StartService


def run_demo(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "datastorage", "demo", "--url", url, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603 - our own command


@pytest.fixture
def seed() -> str:
    """Another story for each test, so that none finds what another has stored."""
    return str(secrets.randbits(40))


def commands_in(output: str) -> list[str]:
    return [line.strip() for line in output.splitlines() if line.strip().startswith("curl ")]


def run_command(command: str) -> urllib3.BaseHTTPResponse:
    """Do what curl would do."""
    program, silent, url, *post = shlex.split(command)
    assert (program, silent) == ("curl", "-s")
    if not post:
        return urllib3.request("GET", url, retries=False)
    header, content_type, data, body = post
    assert (header, content_type, data) == ("-H", "Content-Type: application/json", "-d")
    return urllib3.request(
        "POST", url, body=body, headers={"Content-Type": "application/json"}, retries=False
    )


def test_every_type_is_loaded_and_counted(service: ServiceProcess, seed: str) -> None:
    result = run_demo(service.api.url, "--seed", seed, "--events", "700")

    assert result.returncode == 0, result.stderr
    counts = dict(re.findall(r"^  ([a-z ]+?) +(\d+)$", result.stdout, re.MULTILINE))
    deliveries, together = int(counts.pop("delivery records")), int(counts.pop("together"))
    incidents, versions = int(counts.pop("incidents")), int(counts.pop("workflow versions"))
    assert counts.keys() == {"gateway", "signalprocessing", "analysis", "workflow"} | {
        "orchestration",
        "notification",
    }
    assert sum(map(int, counts.values())) == 700
    assert together == 700 + deliveries + incidents + versions
    assert deliveries > 0
    assert incidents > 0
    assert versions == sum(map(len, SHELF.values()))


def test_printed_commands_find_what_they_promise(service: ServiceProcess, seed: str) -> None:
    result = run_demo(service.api.url, "--seed", seed)

    answers = [run_command(line).json() for line in commands_in(result.stdout)]
    tour, failure, history, unresolved, found, rate = answers
    assert {event["event_type"] for event in tour["data"]} == set(EVENT_TYPES)
    assert failure["event_outcome"] == "failure"
    assert failure in history["data"]
    assert history["data"][0]["parent_event_id"] is None
    assert all(event["event_data"]["issue_resolved"] is False for event in unresolved["data"])
    assert [each["title"] for each in found["workflows"]] == ["Raise the heap limit of a crashing workload"]
    assert found["workflows"][0]["workflow_id"] in {
        each["workflow_id"] for each in rate["breakdown_by_workflow"]
    }


def test_events_and_incidents_name_registered_workflows(api: Api, seed: str) -> None:
    result = run_demo(api.url, "--seed", seed)

    tour = run_command(commands_in(result.stdout)[0]).json()["data"]
    requested = next(
        event["event_data"]["workflow_id"]
        for event in tour
        if event["event_type"] == "remediationorchestrator.request.created"
    )
    wanted = {"correlation_id": tour[0]["correlation_id"]}
    [incident] = api.get("/api/v1/incidents", wanted).json["data"]
    workflow = api.get(f"/api/v1/workflows/{requested}").json
    assert (incident["workflow_id"], incident["workflow_version"]) == (requested, workflow["version"])
    assert workflow["workflow_name"] == "raise-heap-limit"


def test_loading_twice_stores_nothing_twice(api: Api, seed: str) -> None:
    first = run_demo(api.url, "--seed", seed, "--events", "100")
    tour = commands_in(first.stdout)[0]

    stored = inventory(api)
    second = run_demo(api.url, "--seed", seed, "--events", "100")

    # Other tests may have registered the workflows, which are the same for every seed.
    versions = sum(map(len, SHELF.values()))
    assert number_in(first.stdout, KNOWN) in (0, versions)
    assert second.returncode == 0, second.stderr
    assert number_in(second.stdout, KNOWN) >= 100 + versions
    assert inventory(api) == stored
    assert run_command(tour).json()["pagination"]["total"] == len(EVENT_TYPES)


KNOWN = r"^(\d+) of them were stored before\.$"


def number_in(output: str, pattern: str) -> int:
    found = re.search(pattern, output, re.MULTILINE)
    return int(found[1]) if found else 0


def inventory(api: Api) -> list[int]:
    """Return how many workflow versions and incidents are stored."""
    return [
        api.get(path, {"limit": "1"}).json["total"] for path in ("/api/v1/workflows", "/api/v1/incidents")
    ]


def test_service_that_is_not_there_is_named() -> None:
    url = f"http://127.0.0.1:{free_port()}"

    result = run_demo(url)

    assert result.returncode == 1
    assert result.stderr.strip() == f"Error: cannot reach a service at {url}: Connection refused"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("foo", "the URL needs http:// or https://"),
        ("127.0.0.1:8080", "the URL needs http:// or https://"),
        ("ftp://127.0.0.1", "the URL needs http:// or https://"),
        ("http://", "the URL needs a host"),
        ("http://127.0.0.1:99999", "Failed to parse: http://127.0.0.1:99999"),
    ],
)
def test_url_that_cannot_be_one_is_refused_at_once(url: str, complaint: str) -> None:
    result = run_demo(url)

    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == f"Error: Invalid value for '--url': {complaint}"
    assert result.stdout == ""


def test_reason_of_a_refusal_is_shown(start_service: StartService) -> None:
    strict = start_service(LIMITS_MAX_EVENT_AGE="1h")

    result = run_demo(strict.api.url)

    assert result.returncode == 1
    assert "the service refuses (400): Validation failed for audit_events_batch" in result.stderr
    assert "timestamp is too old" in result.stderr


def test_something_else_on_the_port_is_noticed() -> None:
    with stand_in([Reply(404, {}, b"<h1>Not here</h1>")]) as url:
        result = run_demo(url)

    assert result.returncode == 1
    assert "404 without an explanation: is this datastorage?" in result.stderr


def test_registration_without_an_id_is_noticed() -> None:
    with stand_in([Reply(201, {}, b"{}")]) as url:
        result = run_demo(url)

    assert result.returncode == 1
    assert "the answer names no workflow_id: is this datastorage?" in result.stderr


def test_busy_service_is_asked_again_when_it_says_so() -> None:
    busy = Reply(503, {"Retry-After": "0"}, b"{}")
    stored = Reply(201, {}, b'{"workflow_id": "5b0c3f7e-2d64-4d0e-9c55-0f8e4c1f7a21"}')

    with stand_in([busy, busy, stored]) as url:
        result = run_demo(url)

    assert result.returncode == 0, result.stderr


def test_service_that_stays_busy_is_given_up() -> None:
    problem = {"detail": "database and DLQ both unavailable - please retry"}
    busy = Reply(503, {"Retry-After": "0"}, json.dumps(problem).encode())

    with stand_in([busy]) as url:
        result = run_demo(url)

    assert result.returncode == 1
    assert f"the service refuses (503): {problem['detail']}" in result.stderr


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def stand_in(answers: list[Reply]) -> Iterator[str]:
    """Serve these answers, the last one again and again: trouble a real service is rarely in."""
    remaining = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, body = remaining.pop(0) if len(remaining) > 1 else remaining[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:  # the test's output is about the test
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
