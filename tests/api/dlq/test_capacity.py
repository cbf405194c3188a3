"""A full queue refuses what is new and keeps what it has."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.api.dlq.desk import Desk
from tests.support.builders import BATCH, EVENTS, an_event
from tests.support.exposition import Scrape
from tests.support.http import assert_problem
from tests.support.isolated import IsolatedService

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
        assert "DLQ FULL - audit write refused" in service.log
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
