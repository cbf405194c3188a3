"""A full queue refuses what is new and keeps what it has."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.api.dlq.conftest import StartProxied
from tests.api.dlq.desk import Desk
from tests.lab.proxy import Mode
from tests.support.builders import BATCH, EVENTS, an_event
from tests.support.exposition import Scrape
from tests.support.http import assert_problem
from tests.support.isolated import IsolatedService
from tests.support.waiting import eventually

FULL = "database unavailable and DLQ full - please retry"


def test_full_queue_refuses_and_keeps_its_first_entry(
    isolated: IsolatedService, desk: Desk, tmp_path: Path
) -> None:
    with isolated.another_service(tmp_path, REDIS_DLQ_MAX_LEN="1000", SERVER_WORKERS="1") as service:
        isolated.postgres.stop()
        desk.fill(1000)
        first = desk.fields()[0]

        answer = service.api.post(EVENTS, an_event())

        problem = assert_problem(answer, 503, "service-unavailable")
        assert problem["detail"] == FULL
        assert answer.headers["Retry-After"] == "5"
        assert desk.depth() == 1000
        assert desk.fields()[0] == first
        failures = {"stream": "events", "reason": "full"}
        assert Scrape(service.api).value("dlq_enqueue_failures_total", **failures) == 1
        eventually(lambda: "DLQ FULL - audit write refused" in service.log)
        desk.client.flushall()


def test_concurrent_writes_never_exceed_the_limit(
    isolated: IsolatedService, desk: Desk, tmp_path: Path
) -> None:
    with (
        isolated.another_service(tmp_path, REDIS_DLQ_MAX_LEN="25", SERVER_WORKERS="2") as service,
        ThreadPoolExecutor(20) as threads,
    ):
        isolated.postgres.stop()
        desk.fill(20)

        answers = list(threads.map(lambda _: service.api.post(EVENTS, an_event()), range(20)))

        statuses = sorted(answer.status for answer in answers)
        assert statuses == [202] * 5 + [503] * 15
        assert desk.depth() == 25
        desk.client.flushall()


def test_batch_that_does_not_fit_is_refused_as_a_whole(
    isolated: IsolatedService, desk: Desk, tmp_path: Path
) -> None:
    with isolated.another_service(tmp_path, REDIS_DLQ_MAX_LEN="10", SERVER_WORKERS="1") as service:
        isolated.postgres.stop()
        desk.fill(8)

        refused = service.api.post(BATCH, [an_event() for _ in range(3)])
        depth_then = desk.depth()
        accepted = service.api.post(BATCH, [an_event() for _ in range(2)])

        assert assert_problem(refused, 503, "service-unavailable")["detail"] == FULL
        assert depth_then == 8
        assert accepted.status == 202
        assert desk.depth() == 10
        desk.client.flushall()


LEVELS = {0: 0.0, 100: 0.1, 500: 0.5, 750: 0.75, 800: 0.80, 850: 0.85, 900: 0.90, 950: 0.95, 1000: 1.0}
SAID = {800: "DLQ near capacity", 900: "DLQ CRITICAL capacity", 950: "DLQ OVERFLOW IMMINENT"}
SHOWN = {
    0: set(),
    800: {"warning"},
    900: {"critical", "near_full"},
    950: {"near_full", "overflow_imminent"},
}
FLAGS = ("warning", "critical", "near_full", "overflow_imminent")


def test_every_level_of_a_filling_queue_is_said_and_shown(start_proxied: StartProxied) -> None:
    proxied = start_proxied(REDIS_DLQ_MAX_LEN="1000")
    proxied.proxy.mode = Mode.REFUSE
    seen = {0: proxied.desk.scrape()}

    for level in list(LEVELS)[1:]:
        proxied.desk.fill(level - proxied.desk.depth() - 1)
        assert proxied.api.post(EVENTS, an_event()).status == 202
        seen[level] = proxied.desk.scrape_at_depth(level)

    def said() -> list[dict[str, Any]]:
        return [line for line in proxied.service.log_lines if line["msg"] in SAID.values()]

    eventually(lambda: len(said()) == len([level for level in LEVELS if level >= min(SAID)]))
    lines = said()
    for level, scrape in seen.items():
        band = max(start for start in SHOWN if start <= level)
        assert scrape.value("dlq_depth", stream="events") == level
        assert scrape.value("dlq_depth_ratio", stream="events") == pytest.approx(LEVELS[level], abs=0.001)
        assert {flag for flag in FLAGS if scrape.value(f"dlq_{flag}", stream="events")} == SHOWN[band]
    told = [(line["depth"], line["ratio"], line["msg"], line["level"].lower()) for line in lines]
    assert told == [
        (800, 0.8, SAID[800], "info"),
        (850, 0.85, SAID[800], "info"),
        (900, 0.9, SAID[900], "error"),
        (950, 0.95, SAID[950], "error"),
        (1000, 1.0, SAID[950], "error"),
    ]
    assert lines[0]["summary"] == "DLQ near capacity: 800/1000 (80%)"
