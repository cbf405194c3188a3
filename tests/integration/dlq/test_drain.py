"""The last chance at shutdown."""

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from datastorage.dlq.keys import KEYS
from datastorage.dlq.replay import Replayed
from datastorage.embedded.redis import EmbeddedRedis
from tests.integration.dlq.conftest import Lines, StartPod
from tests.support.pods import EVENTS, NO_PARTITION, NOTIFICATIONS, UNREACHABLE, Pod, connect


def test_queued_records_are_stored_and_counted(pod: Pod, lines: Lines) -> None:
    for _ in range(3):
        pod.park_notification()
    pod.park_events(2, NO_PARTITION)

    statistics = pod.drain()

    assert len(pod.archive.rows) == 5
    assert (statistics.notifications_processed, statistics.events_processed) == (3, 2)
    assert (statistics.total_processed, statistics.errors, statistics.timed_out) == (5, 0, False)
    assert (statistics.remaining_notifications, statistics.remaining_events) == (0, 0)
    assert (pod.depth(), pod.depth(NOTIFICATIONS), pod.pending(), pod.ids()) == (0, 0, 0, set())
    assert lines("Starting DLQ drain for graceful shutdown")[0]["timeout"] == 10
    [complete] = lines("DLQ drain complete")
    assert complete["notifications_processed"] == 3
    assert complete["duration"] == statistics.duration
    assert pod.value("dlq_drain_messages_processed_total", stream="notifications") == 3
    assert pod.value("dlq_drain_messages_processed_total", stream="events") == 2
    assert pod.value("dlq_drain_duration_seconds_count") == 1


def test_empty_queue_takes_no_time(pod: Pod) -> None:
    statistics = pod.drain()

    assert statistics.duration < 1
    assert (statistics.total_processed, statistics.timed_out) == (0, False)


def test_unreachable_database_skips_the_drain(pod: Pod, lines: Lines) -> None:
    pod.park_events(3)
    pod.is_database_up = False

    statistics = pod.drain()

    assert (pod.depth(), pod.pending(), pod.archive.attempts) == (3, 0, [])
    assert (statistics.errors, statistics.remaining_events) == (0, 3)
    [skipped] = lines("DLQ drain skipped")
    assert (skipped["reason"], skipped["depth_events"], skipped["depth_notifications"]) == (
        "database unreachable",
        3,
        0,
    )


def test_database_that_fails_on_the_way_ends_the_drain_at_once(pod: Pod, lines: Lines) -> None:
    pod.park_events(5)
    pod.archive.outcomes = iter([None, UNREACHABLE])

    statistics = pod.drain()

    assert (len(pod.archive.attempts), statistics.total_processed, statistics.errors) == (2, 1, 1)
    assert (statistics.remaining_events, pod.depth(), pod.parked()) == (4, 4, [])
    assert pod.value("dlq_drain_errors_total") == 1
    [error] = lines("Error during DLQ drain processing")
    assert error["levelno"] == logging.ERROR
    assert (error["error_index"], error["audit_type"], error["correlation_id"]) == (1, "events", "rr-7")


def test_failed_record_gets_a_second_chance_at_the_end(pod: Pod, lines: Lines) -> None:
    first, second = pod.park_events(2)
    pod.archive.outcomes = iter([NO_PARTITION])

    statistics = pod.drain()

    assert pod.archive.attempts == [first, second, first]
    assert (statistics.total_processed, statistics.errors, pod.depth()) == (2, 0, 0)
    assert lines("Error during DLQ drain processing") == []


@pytest.mark.parametrize(
    "outcome", [NO_PARTITION, Replayed.CONFLICT, Replayed.INVALID, Replayed.PARENT_PENDING, KeyError()]
)
def test_what_is_not_stored_stays_where_it_is(pod: Pod, outcome: Replayed | Exception) -> None:
    pod.park_events(1)
    before = pod.entries()
    pod.archive.always(outcome)

    statistics = pod.drain()

    assert pod.entries() == before
    assert (pod.parked(), pod.dead(), len(pod.ids())) == ([], [], 1)
    assert (statistics.total_processed, statistics.errors, statistics.remaining_events) == (0, 1, 1)


def test_unreadable_entry_stays_where_it_is(pod: Pod) -> None:
    pod.put(b"{")
    [event_id] = pod.park_events(1)

    statistics = pod.drain()

    assert list(pod.archive.rows) == [event_id]
    assert (pod.depth(), pod.dead(), statistics.errors) == (1, [], 1)


def test_parked_records_are_left_to_others(pod: Pod) -> None:
    pod.park_events(2, NO_PARTITION)
    pod.worker().run_cycle()

    statistics = pod.drain()

    assert (len(pod.parked()), statistics.total_processed) == (2, 0)


def test_deadline_cuts_the_drain_and_loses_nothing(pod: Pod) -> None:
    pod.park_events(100)

    statistics = pod.drain(timedelta(milliseconds=1))

    assert statistics.timed_out
    assert statistics.total_processed + statistics.remaining_events == 100
    assert len(pod.archive.rows) == statistics.total_processed
    assert pod.depth() == statistics.remaining_events > 0
    assert pod.value("dlq_drain_timeout_total") == 1


def test_streams_take_turns(pod: Pod) -> None:
    event_ids = pod.park_events(250)
    notification_ids = [pod.park_notification() for _ in range(2)]

    pod.drain()

    assert pod.archive.attempts == [*notification_ids, *event_ids]
    assert len(pod.archive.rows) == 252


def test_what_is_in_the_hands_of_a_living_consumer_is_left_to_it(start_pod: StartPod) -> None:
    living, ending = start_pod("living"), start_pod("ending")
    living.park_events(3)
    living.queue.create_groups()
    living.queue.read_new(EVENTS, 2)

    statistics = ending.drain()

    assert (statistics.events_processed, statistics.remaining_events) == (1, 2)


def test_what_this_pod_held_is_drained(pod: Pod) -> None:
    pod.park_events(250)
    pod.queue.create_groups()
    pod.queue.read_new(EVENTS, 220)

    statistics = pod.drain()

    assert (statistics.events_processed, pod.depth(), pod.pending()) == (250, 0, 0)


def test_entry_on_which_consumers_died_is_not_touched_at_the_end(pod: Pod) -> None:
    pod.park_events(1)
    pod.queue.create_groups()
    pod.queue.read_new(EVENTS, 1)
    for _ in range(5):
        [delivery] = pod.queue.read_own(EVENTS, 1)
        pod.queue.begin(delivery)

    statistics = pod.drain()

    assert (pod.archive.attempts, pod.depth(), statistics.remaining_events) == ([], 1, 1)


def test_redis_that_goes_away_is_an_error_and_no_more(tmp_path: Path, lines: Lines) -> None:
    with EmbeddedRedis(tmp_path) as server, connect(server.url) as client:
        pod = Pod(client)
        pod.park_events(2)
        server.kill()

        statistics = pod.drain()

    assert (statistics.errors, statistics.total_processed) == (1, 0)
    assert lines("Error during DLQ drain processing")[0]["cause"] == "ConnectionError"
    assert len(lines("DLQ drain complete")) == 1


def test_two_pods_draining_share_the_work(start_pod: StartPod) -> None:
    first, second = start_pod("pod-a"), start_pod("pod-b")
    first.park_events(150)
    second.queue.create_groups()
    second.queue.read_new(EVENTS, 70)

    processed = [pod.drain().events_processed for pod in (first, second)]

    assert processed == [80, 70]
    assert first.depth() == 0


def test_consumer_leaves_with_its_pod_unless_it_holds_something(start_pod: StartPod) -> None:
    ending, holding = start_pod("ending"), start_pod("holding")
    for pod in (ending, holding):
        pod.worker().run_cycle()
    ending.park_events(1)
    holding.queue.create_groups()
    holding.queue.read_new(EVENTS, 1)
    holding.archive.always(NO_PARTITION)

    ending.drain()
    holding.drain()

    assert consumers(ending) == {"holding"}
    assert holding.pending() == 1


def test_consumer_leaves_while_the_database_is_gone(pod: Pod) -> None:
    pod.worker().run_cycle()
    pod.is_database_up = False

    pod.drain()

    assert consumers(pod) == set()


def consumers(pod: Pod) -> set[str]:
    found: Any = pod.client.xinfo_consumers(KEYS[EVENTS].stream, pod.settings.dlq_consumer_group)
    return {consumer["name"].decode() for consumer in found}
