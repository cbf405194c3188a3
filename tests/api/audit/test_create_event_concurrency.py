"""``POST /api/v1/audit/events`` and its batch, many at a time (BR-STORAGE-027)."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection

from tests.support.builders import BATCH, EVENTS, an_event, unique
from tests.support.http import Answer, Api
from tests.support.stored import count_events
from tests.support.writes import created

CROWD = 50


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=CROWD) as executor:
        yield executor


def post_at_once(threads: ThreadPoolExecutor, api: Api, path: str, bodies: list[Any]) -> list[Answer]:
    """Send one request per body, none before all are ready."""
    ready = Barrier(len(bodies))

    def post(body: Any) -> Answer:
        ready.wait(timeout=30)
        return api.post(path, body)

    return list(threads.map(post, bodies))


def test_crowd_of_writers_is_served_completely(
    api: Api, owner: Connection, threads: ThreadPoolExecutor
) -> None:
    correlation_id = unique()
    started = monotonic()

    answers = post_at_once(threads, api, EVENTS, [an_event(correlation_id=correlation_id)] * CROWD)

    assert Counter(answer.status for answer in answers) == {201: CROWD}
    assert monotonic() - started < 30
    assert len({answer.json["event_id"] for answer in answers}) == CROWD
    assert count_events(owner, correlation_id) == CROWD


def test_write_after_a_crowd_is_quick(api: Api, threads: ThreadPoolExecutor) -> None:
    post_at_once(threads, api, EVENTS, [an_event()] * CROWD)
    started = monotonic()

    created(api, an_event())

    assert monotonic() - started < 1


def test_same_event_from_many_writers_is_stored_once(
    api: Api, owner: Connection, threads: ThreadPoolExecutor
) -> None:
    event = an_event(event_id=str(uuid4()))

    answers = post_at_once(threads, api, EVENTS, [event] * 20)

    assert Counter(answer.status for answer in answers) == {201: 1, 200: 19}
    assert {answer.json["event_id"] for answer in answers} == {event["event_id"]}
    assert count_events(owner, event["correlation_id"]) == 1


def test_one_of_many_different_events_under_one_id_wins(
    api: Api, owner: Connection, threads: ThreadPoolExecutor
) -> None:
    event = an_event(event_id=str(uuid4()))

    answers = post_at_once(threads, api, EVENTS, [event | {"event_action": f"a{n}"} for n in range(20)])

    assert Counter(answer.status for answer in answers) == {201: 1, 409: 19}
    assert count_events(owner, event["correlation_id"]) == 1


def test_unknown_parent_of_one_writer_does_not_hurt_the_others(
    api: Api, owner: Connection, threads: ThreadPoolExecutor
) -> None:
    correlation_id = unique()
    parent = created(api, an_event()).json["event_id"]
    parents = [parent if number % 5 else str(uuid4()) for number in range(20)]

    answers = post_at_once(
        threads,
        api,
        EVENTS,
        [an_event(correlation_id=correlation_id, parent_event_id=parent) for parent in parents],
    )

    assert [answer.status for answer in answers] == [201 if each == parent else 400 for each in parents]
    assert count_events(owner, correlation_id) == 16


def test_same_batch_from_many_writers_is_stored_once(
    api: Api, owner: Connection, threads: ThreadPoolExecutor
) -> None:
    correlation_id = unique()
    batch = [an_event(correlation_id=correlation_id, event_id=str(uuid4())) for _ in range(20)]

    answers = post_at_once(threads, api, BATCH, [batch, batch[::-1]] * 5)

    assert Counter(answer.status for answer in answers) == {201: 10}
    assert sum(20 - answer.json.get("duplicates", 0) for answer in answers) == 20
    assert count_events(owner, correlation_id) == 20


def test_readers_never_see_part_of_a_batch(api: Api, threads: ThreadPoolExecutor) -> None:
    correlation_id = unique()
    batch = [an_event(correlation_id=correlation_id) for _ in range(50)]
    is_over = Event()

    def totals() -> set[int]:
        seen = set()
        while not is_over.is_set():
            answer = api.get(EVENTS, {"correlation_id": correlation_id, "limit": 1})
            seen.add(answer.json["pagination"]["total"])
        return seen

    readers = [threads.submit(totals) for _ in range(2)]
    answers = post_at_once(threads, api, BATCH, [batch] * 20)
    is_over.set()
    seen = set().union(*(reader.result(timeout=30) for reader in readers))
    total = api.get(EVENTS, {"correlation_id": correlation_id, "limit": 1}).json["pagination"]["total"]

    assert Counter(answer.status for answer in answers) == {201: 20}
    assert {count % 50 for count in seen} == {0}
    assert total == 1000
