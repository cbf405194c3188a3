"""More requests than connections."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.builders import EVENTS, an_event, unique
from tests.support.exposition import Scrape
from tests.support.http import Api, assert_problem
from tests.support.isolated import IsolatedService
from tests.support.waiting import eventually

POOL_OF_TWO = {
    "SERVER_WORKERS": "1",
    "DATABASE_MAX_OPEN_CONNS": "2",
    "DATABASE_MAX_IDLE_CONNS": "1",
    "DATABASE_POOL_TIMEOUT": "500ms",
}


def test_fifty_writers_at_once_are_all_served(isolated: IsolatedService) -> None:
    ours = unique()
    api = isolated.api
    highest = [0.0]

    with ThreadPoolExecutor(50) as threads:
        started = time.monotonic()
        writes = [threads.submit(api.post, EVENTS, an_event(correlation_id=ours)) for _ in range(50)]
        while not all(write.done() for write in writes):
            highest.append(Scrape(isolated.service.metrics_api).value("db_connections_open"))
        statuses = [write.result().status for write in writes]
        seconds = time.monotonic() - started
    then = time.monotonic()
    one_more = api.post(EVENTS, an_event(correlation_id=ours))
    one_more_seconds = time.monotonic() - then

    assert set(statuses) <= {201, 202}
    assert seconds < 30
    assert one_more.status == 201
    assert one_more_seconds < 1
    assert max(highest) <= 25
    assert api.get(EVENTS, {"correlation_id": ours}).json["pagination"]["total"] == 51


def test_read_that_waits_too_long_for_a_connection_is_unavailable(
    isolated: IsolatedService, tmp_path: Path
) -> None:
    small = isolated.another_service(tmp_path, **POOL_OF_TWO)
    with small, ThreadPoolExecutor(2) as threads:
        # Until then the start of the service asks for a connection of its own, and would wait for it too.
        eventually(lambda: Scrape(small.api).value("partition_months_ahead") > 0)
        with isolated.locked_events():
            holders = [threads.submit(small.api.get, EVENTS) for _ in range(2)]
            eventually(lambda: in_use(small.api) == 2)
            started = time.monotonic()
            answer = small.api.get(EVENTS)
            seconds = time.monotonic() - started
            scrape = Scrape(small.api)
        held = [holder.result().status for holder in holders]
        again = small.api.get(EVENTS)
        eventually(lambda: in_use(small.api) == 0)

    problem = assert_problem(answer, 503, "service-unavailable")
    assert problem["detail"] == "database connection pool exhausted - please retry"
    assert answer.headers["Retry-After"] == "2"
    assert 0.4 < seconds < 1.5
    assert scrape.value("db_pool_timeouts_total") == 1
    assert scrape.value("db_errors_total", reason="pool_timeout") == 1
    assert scrape.value("db_connections_max") == 2
    assert held == [200, 200]
    assert again.status == 200


def in_use(api: Api) -> float:
    return Scrape(api).value("db_connections_in_use")


def test_short_wait_for_a_connection_is_only_a_wait(isolated: IsolatedService, tmp_path: Path) -> None:
    small = isolated.another_service(tmp_path, **(POOL_OF_TWO | {"DATABASE_POOL_TIMEOUT": "20s"}))
    with small, ThreadPoolExecutor(12) as threads:
        with isolated.locked_events():
            reads = [threads.submit(small.api.get, EVENTS) for _ in range(12)]
            eventually(lambda: in_use(small.api) == 2)
        statuses = [read.result().status for read in reads]
        scrape = Scrape(small.api)

    assert statuses == [200] * 12
    assert scrape.value("db_pool_timeouts_total") == 0
    assert scrape.value("db_connection_wait_duration_seconds_count") >= 12
    assert scrape.value("db_connections_open") <= 2
