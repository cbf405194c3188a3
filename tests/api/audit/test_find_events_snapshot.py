"""``GET /api/v1/audit/events`` while others write."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

from tests.support.builders import EVENTS, an_event, unique
from tests.support.http import Api
from tests.support.writes import batch_created

BATCH_ROWS = 50


@contextmanager
def batches_being_written(api: Api, correlation_id: str, writers: int) -> Iterator[None]:
    """Keep writing batches of the correlation; wait until the first ones are in."""
    enough = Event()

    def write() -> None:
        while not enough.is_set():
            batch = [an_event(correlation_id=correlation_id) for _ in range(BATCH_ROWS)]
            batch_created(api, batch)

    with ThreadPoolExecutor(writers) as threads:
        running = [threads.submit(write) for _ in range(writers)]
        try:
            yield
        finally:
            enough.set()
        for each in running:
            each.result()


def test_count_and_page_are_of_one_moment_and_batches_appear_whole(api: Api) -> None:
    ours = unique()
    totals: list[int] = []

    with batches_being_written(api, ours, writers=3):
        while len(set(totals)) < 8:
            answer = api.get(EVENTS, {"correlation_id": ours, "limit": 1000})
            total = answer.json["pagination"]["total"]
            totals.append(total)
            assert len(answer.json["data"]) == min(total, 1000)
            assert answer.json["pagination"]["has_more"] is (total > 1000)
            assert total % BATCH_ROWS == 0

    assert totals == sorted(totals)
