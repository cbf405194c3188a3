"""Nobody can know whether a commit whose answer was lost took place: the queue makes it harmless."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from tests.api.dlq.conftest import StartProxied
from tests.api.dlq.proxied import ProxiedService
from tests.lab.proxy import Mode
from tests.support.builders import BATCH, EVENTS, NOTIFICATIONS, a_notification, an_event
from tests.support.http import assert_problem
from tests.support.isolated import IsolatedService
from tests.support.waiting import eventually
from tests.support.writes import created

Refuse = Callable[[str, Any], ProxiedService]


def test_event_committed_without_an_answer_is_stored_once(start_proxied: StartProxied) -> None:
    proxied = start_proxied()
    created(proxied.api, an_event())
    proxied.proxy.mode = Mode.LOSE_COMMIT_ANSWER

    answer = proxied.api.post(EVENTS, an_event(event_metadata={}, event_data={"n": 0.1}))
    is_stored = proxied.desk.is_stored(answer.json["event_id"])
    proxied.proxy.mode = Mode.PASS
    proxied.desk.wait_until_empty()

    assert answer.status == 202
    assert is_stored, "the proxy lost the commit itself, not its answer"
    assert proxied.desk.rows(event_id=answer.json["event_id"]) == 1
    assert proxied.desk.dead() == []
    assert proxied.desk.scrape().value("dlq_retry_total", stream="events", result="duplicate") == 1


def test_batch_committed_without_an_answer_is_stored_once(start_proxied: StartProxied) -> None:
    proxied = start_proxied()
    created(proxied.api, an_event())
    proxied.proxy.mode = Mode.LOSE_COMMIT_ANSWER

    answer = proxied.api.post(BATCH, [an_event() for _ in range(3)])
    proxied.proxy.mode = Mode.PASS
    proxied.desk.wait_until_empty()

    assert answer.status == 202
    assert [proxied.desk.rows(event_id=event_id) for event_id in answer.json["event_ids"]] == [1, 1, 1]
    assert proxied.desk.dead() == []


def test_notification_committed_without_an_answer_is_stored_once(start_proxied: StartProxied) -> None:
    proxied = start_proxied()
    created(proxied.api, an_event())
    proxied.proxy.mode = Mode.LOSE_COMMIT_ANSWER
    notification = a_notification()

    answer = proxied.api.post(NOTIFICATIONS, notification)
    proxied.proxy.mode = Mode.PASS
    proxied.desk.wait_until_empty()

    assert answer.status == 202
    assert proxied.desk.notifications(notification["notification_id"]) == 1
    assert proxied.desk.dead("audit:dlq:notifications") == []


@pytest.fixture
def refused_but_stored(isolated: IsolatedService, start_proxied: StartProxied) -> Refuse:
    """Send what is committed without an answer and cannot be queued: 503, and yet it is there."""
    proxied = start_proxied()
    created(proxied.api, an_event())

    def refuse(path: str, body: Any) -> ProxiedService:
        proxied.proxy.mode = Mode.LOSE_COMMIT_ANSWER
        isolated.redis.stop()
        answer = proxied.api.post(path, body)
        proxied.proxy.mode = Mode.PASS
        isolated.redis.start()
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "5"
        return proxied

    return refuse


def test_event_sent_again_after_an_unknown_outcome_is_the_stored_one(refused_but_stored: Refuse) -> None:
    event = an_event(event_id=str(uuid4()))
    proxied = refused_but_stored(EVENTS, event)
    was_stored = proxied.desk.is_stored(event["event_id"])

    again = proxied.api.post(EVENTS, event)
    changed = proxied.api.post(EVENTS, event | {"event_outcome": "failure"})

    assert was_stored
    assert (again.status, again.json["event_id"]) == (200, event["event_id"])
    assert_problem(changed, 409, "conflict")
    assert proxied.desk.rows(event_id=event["event_id"]) == 1
    assert proxied.desk.depths() == (0, 0)


def test_batch_sent_again_after_an_unknown_outcome_is_the_stored_one(refused_but_stored: Refuse) -> None:
    batch = [an_event(event_id=str(uuid4())) for _ in range(3)]
    ids = [event["event_id"] for event in batch]
    proxied = refused_but_stored(BATCH, batch)
    was_stored = all(map(proxied.desk.is_stored, ids))

    again = proxied.api.post(BATCH, batch)

    assert was_stored
    assert again.status in {200, 201}
    assert again.json["event_ids"] == ids
    assert [proxied.desk.rows(event_id=event_id) for event_id in ids] == [1, 1, 1]


def test_notification_sent_again_after_an_unknown_outcome_is_known(refused_but_stored: Refuse) -> None:
    notification = a_notification()
    proxied = refused_but_stored(NOTIFICATIONS, notification)

    again = proxied.api.post(NOTIFICATIONS, notification)

    assert_problem(again, 409, "conflict")
    assert proxied.desk.notifications(notification["notification_id"]) == 1


def test_black_hole_costs_time_only_until_the_circuit_opens(start_proxied: StartProxied) -> None:
    proxied = start_proxied(
        AUDIT_WRITE_TIMEOUT="1s",
        DATABASE_WRITE_LOCK_TIMEOUT="500ms",
        # The retry loop would find out first, and stay away from the pool.
        REDIS_DLQ_POLL_INTERVAL="10s",
    )
    created(proxied.api, an_event())
    proxied.proxy.mode = Mode.BLACK_HOLE

    with ThreadPoolExecutor(11) as threads:
        writes = list(threads.map(lambda _: proxied.api.post(EVENTS, an_event()), range(11)))
    started = time.monotonic()
    twelfth = proxied.api.post(EVENTS, an_event())
    seconds = time.monotonic() - started
    reason = proxied.desk.entries_anywhere()[-1]["reason"]
    state = proxied.desk.scrape().value("circuit_breaker_state")
    proxied.proxy.mode = Mode.PASS
    proxied.proxy.reset_all()

    assert [write.status for write in writes] == [202] * 11
    assert twelfth.status == 202
    assert seconds < 0.1
    assert reason == "circuit_open"
    assert state == 1
    eventually(lambda: proxied.api.post(EVENTS, an_event()).status == 201, timeout_seconds=2)
    assert proxied.desk.scrape().value("circuit_breaker_state") == 0
    proxied.desk.wait_until_empty()
    for write in (*writes, twelfth):
        assert proxied.desk.rows(event_id=write.json["event_id"]) == 1
