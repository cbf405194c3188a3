"""Standard output is a pipe that nobody reads: everything goes on, and lines without room are counted."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builders import EVENTS, an_event, unique
from tests.support.servers import TestDatabase
from tests.support.unread_log import LONG_PATH, SHUTDOWN_SECONDS, Unread
from tests.support.waiting import eventually

WORKERS = 2


@pytest.fixture
def unread(database: TestDatabase, redis_url: str, tmp_path: Path) -> Iterator[Unread]:
    """A service whose log nobody has read until access lines were dropped."""
    url = database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
    service = Unread(tmp_path, url, redis_url, SERVER_WORKERS=str(WORKERS))
    service.start()
    service.fill()
    yield service
    service.stop()
    os.close(service.reader)


def test_service_goes_on_and_says_so(unread: Unread) -> None:
    statuses = {unread.api.post(EVENTS, an_event()).status for _ in range(20)}

    eventually(lambda: unread.says_blocked)
    health = unread.api.get("/health")
    assert statuses == {201}
    assert (health.status, json.loads(health.body)["status"]) == (200, "healthy")
    assert unread.api.get("/health/ready").status == 200
    assert unread.metrics_api.get("/metrics").status == 200


def test_shutdown_does_not_wait_for_the_reader(unread: Unread) -> None:
    began = time.monotonic()

    unread.signal(signal.SIGTERM)
    code = unread.wait(SHUTDOWN_SECONDS)

    assert code == 0
    assert time.monotonic() - began < SHUTDOWN_SECONDS


def test_lines_flow_again_with_the_reader(unread: Unread) -> None:
    # No access line: it has its own room.
    kept = unique("kept-while-blocked")
    unread.api.request("GET", "/api/v1/workflows", headers={"X-Request-ID": kept})

    unread.read()
    eventually(lambda: "log" not in json.loads(unread.api.get("/health").body))
    after = unique("after-the-blockade")
    unread.api.request("GET", "/api/v1/workflows", headers={"X-Request-ID": after})
    eventually(lambda: after in unread.log)
    dropped = unread.dropped("access")
    code = unread.stop()
    lines = unread.all_lines()

    assert code == 0
    assert 0 < dropped < unread.asked
    # Every line was either sent, once, or counted as dropped: with two workers the last ones come late.
    assert unread.log.count(LONG_PATH) == unread.asked - dropped
    assert "Workflow read finished" in {line["msg"] for line in lines if line.get("request_id") == kept}
    assert {line["msg"] for line in lines if line.get("request_id") == after} == {
        "Workflow read finished",
        "HTTP request",
    }
    assert lines[-1]["msg"] == "Server shutdown complete"
