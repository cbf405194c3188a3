"""One queued record on its way back: every outcome, and what Redis holds afterwards."""

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest

from datastorage.dlq.entry import decode
from datastorage.dlq.replay import Replayed
from datastorage.errors import QueryTimeout, Unavailable
from tests.integration.dlq.conftest import Lines, StartPod
from tests.support.pods import EVENTS, NO_PARTITION, NOTIFICATIONS, UNREACHABLE, Pod

TOO_SLOW = QueryTimeout("no", reason="timeout", sqlstate="57014", server_message="canceled")

WAITS = (timedelta(minutes=1), timedelta(minutes=5))


def retries(pod: Pod, result: str) -> float:
    return pod.value("dlq_retry_total", stream="events", result=result)


def test_stored_record_leaves_nothing_behind(pod: Pod, lines: Lines) -> None:
    event_ids = pod.park_events(3)
    pod.clock.advance(seconds=20)

    pod.worker().run_cycle()

    assert list(pod.archive.rows) == event_ids
    assert (pod.depth(), pod.pending(), pod.parked(), pod.ids()) == (0, 0, [], set())
    assert retries(pod, "success") == 3
    assert pod.value("dlq_recovery_age_seconds_sum", stream="events") == pytest.approx(60)
    line = lines("DLQ message processed successfully")[0]
    assert (line["audit_type"], line["retry_count"], line["correlation_id"]) == ("events", 0, "rr-7")
    assert (line["result"], line["age_seconds"]) == ("success", 20)
    assert line["message_id"]


def test_record_that_was_stored_after_all_is_a_duplicate(pod: Pod, lines: Lines) -> None:
    [event_id] = pod.park_events(1)
    copy = pod.entries()[0].encode()
    pod.worker().run_cycle()
    pod.put(copy)

    pod.worker().run_cycle()

    assert list(pod.archive.rows) == [event_id]
    assert pod.depth() == 0
    assert (retries(pod, "success"), retries(pod, "duplicate")) == (1, 1)
    assert lines("DLQ message processed successfully")[-1]["result"] == "duplicate"


def test_failed_record_waits_with_one_attempt_less(pod: Pod, lines: Lines) -> None:
    [event_id] = pod.park_events(1, event_type="gateway.signal.received")
    pod.archive.always(NO_PARTITION)
    first_queued = pod.clock.now
    pod.clock.advance(seconds=10)

    pod.worker().run_cycle()

    [(entry, due_at)] = pod.parked()
    assert (entry.record_id, entry.retry_count, entry.reason) == (event_id, 1, "partition_missing")
    assert entry.last_error.startswith("23514: no partition")
    assert (entry.timestamp, entry.first_enqueued_at) == (pod.clock.now, first_queued)
    assert due_at - pod.clock.now == pytest.approx(timedelta(minutes=5), abs=timedelta(milliseconds=1))
    assert (pod.depth(), pod.pending(), pod.ids()) == (0, 0, {event_id})
    assert retries(pod, "entry_failure") == 1
    [line] = lines("DLQ retry failed")
    assert line["levelno"] == logging.ERROR
    assert (line["retry_count"], line["reason"]) == (1, "partition_missing")
    assert (line["event_type"], line["correlation_id"]) == ("gateway.signal.received", "rr-7")
    assert line["payload_size"] > 100


def test_failed_record_is_not_tried_before_its_time(pod: Pod) -> None:
    pod.park_events(1, NO_PARTITION)
    worker = pod.worker()

    pod.clock.advance(seconds=30)
    worker.run_cycle()
    tried_early, parked = len(pod.archive.attempts), pod.parked()
    pod.clock.advance(seconds=30)
    worker.run_cycle()

    assert (tried_early, len(pod.archive.attempts), pod.depth(), pod.parked()) == (0, 1, 0, [])
    assert parked[0][0].retry_count == 0


def test_hopeless_record_is_tried_six_times_and_given_up(pod: Pod, lines: Lines) -> None:
    [event_id] = pod.park_events(1)
    original_id = pod.client.xrange("audit:dlq:events")[0][0].decode()  # type: ignore[index,union-attr]
    pod.archive.always(NO_PARTITION)
    worker = pod.worker()

    for _ in range(8):
        worker.run_cycle()
        pod.clock.advance(hours=25)

    [letter] = pod.dead()
    entry = decode(letter["message"].encode())
    assert pod.archive.attempts == [event_id] * 6
    assert letter["final_retry_count"] == "6"
    assert letter["reason"] == "max_retries"
    assert letter["original_id"] > original_id
    assert datetime.fromisoformat(letter["moved_at"]).tzinfo == UTC
    assert (entry.record_id, entry.retry_count, entry.reason) == (event_id, 6, "partition_missing")
    assert (pod.depth(), pod.pending(), pod.parked(), pod.ids()) == (0, 0, [], set())
    assert pod.value("dead_letter_total", stream="events", reason="max_retries") == 1
    assert (retries(pod, "entry_failure"), retries(pod, "dead_letter")) == (6, 1)
    [line] = lines("Message moved to dead letter")
    assert (line["retry_count"], line["reason"], line["correlation_id"]) == (6, "max_retries", "rr-7")


def test_record_that_needs_too_long_is_set_aside_while_the_others_go_on(start_pod: StartPod) -> None:
    pod = start_pod(dlq_max_retries=2)
    slow, *others = pod.park_events(3)
    notification_id = pod.park_notification()
    pod.archive.verdict = lambda payload: TOO_SLOW if payload.get("event_id") == slow else None

    pod.worker().run_cycle()
    [(entry, due_at)] = pod.parked()
    pod.clock.advance(hours=1)
    pod.worker().run_cycle()

    assert set(pod.archive.rows) == {*others, notification_id}
    assert (entry.record_id, entry.retry_count, entry.reason) == (slow, 1, "timeout")
    assert due_at - entry.timestamp == pod.settings.dlq_backoff[1]
    assert [letter["reason"] for letter in pod.dead()] == ["max_retries"]
    assert (pod.depth(), pod.depth(NOTIFICATIONS), pod.pending(), pod.parked()) == (0, 0, 0, [])


def test_record_that_needs_too_long_does_not_end_a_drain(pod: Pod) -> None:
    slow, *others = pod.park_events(3)
    pod.archive.verdict = lambda payload: TOO_SLOW if payload.get("event_id") == slow else None

    statistics = pod.drain()

    assert list(pod.archive.rows) == others
    assert (statistics.total_processed, statistics.errors, pod.depth()) == (2, 1, 1)


def test_timeout_of_a_database_that_is_gone_costs_no_attempt(pod: Pod) -> None:
    pod.park_events(2)
    before = pod.entries()

    def freezing(_payload: object) -> QueryTimeout:
        pod.is_database_up = False
        return TOO_SLOW

    pod.archive.verdict = freezing
    pod.worker().run_cycle()

    assert pod.entries() == before
    assert (len(pod.archive.attempts), pod.parked(), pod.dead()) == (1, [], [])


@pytest.mark.parametrize(
    "fault",
    [
        UNREACHABLE,
        Unavailable("no", reason="pool_timeout"),
        Unavailable("no", reason="read_only", sqlstate="25006", server_message="read only"),
        Unavailable("no", reason="disk_full", sqlstate="53100", server_message="disk full"),
    ],
    ids=lambda fault: fault.reason,
)
def test_broken_database_costs_no_attempt(pod: Pod, fault: Exception) -> None:
    pod.park_events(3)
    before = pod.entries()
    pod.archive.always(fault)
    worker = pod.worker()

    for _ in range(20):
        worker.run_cycle()
        pod.clock.advance(days=2)

    assert pod.entries() == before
    assert (pod.parked(), pod.dead(), pod.pending()) == ([], [], 3)
    assert retries(pod, "infrastructure") == 20
    assert len(set(pod.archive.attempts)) == 1

    pod.archive.heal()
    worker.run_cycle()

    assert (len(pod.archive.rows), pod.depth(), pod.pending()) == (3, 0, 0)


def test_record_of_a_rolled_back_batch_is_tried_at_once(pod: Pod) -> None:
    pod.park_events(2, Unavailable("no", reason="batch_rollback"))

    pod.worker().run_cycle()

    assert len(pod.archive.rows) == 2


@pytest.mark.parametrize(
    ("outcome", "reason"), [(Replayed.CONFLICT, "conflict"), (Replayed.INVALID, "invalid")]
)
def test_record_that_can_never_be_stored_is_a_dead_letter_at_once(
    pod: Pod, outcome: Replayed, reason: str
) -> None:
    [event_id] = pod.park_events(1)
    later = pod.park_notification()
    pod.archive.outcomes = iter([outcome])

    pod.worker().run_cycle()

    [letter] = pod.dead()
    assert (letter["reason"], letter["final_retry_count"]) == (reason, "0")
    assert decode(letter["message"].encode()).record_id == event_id
    assert (pod.depth(), pod.ids(), list(pod.archive.rows)) == (0, set(), [later])
    assert pod.value("dead_letter_total", stream="events", reason=reason) == 1
    invalid = pod.value("dlq_validation_failures_total", stream="events", reason="invalid")
    assert invalid == (1 if reason == "invalid" else 0)


def test_unreadable_entries_are_dead_letters_and_hold_up_nobody(pod: Pod) -> None:
    pod.put(b'{"type": "audit_event"')
    pod.put(note="no message", other="é")
    pod.put(b"\xff")
    [event_id] = pod.park_events(1)

    pod.worker().run_cycle()

    letters = pod.dead()
    assert [letter["reason"] for letter in letters] == ["unparseable"] * 3
    assert [json.loads(letter["raw"]) for letter in letters] == [
        {"message": '{"type": "audit_event"'},
        {"note": "no message", "other": "é"},
        {"message": "\\xff"},
    ]
    assert not any("message" in letter for letter in letters)
    assert list(pod.archive.rows) == [event_id]
    assert (pod.depth(), pod.pending()) == (0, 0)
    assert pod.value("dlq_validation_failures_total", stream="events", reason="unparseable") == 3


def test_error_nobody_expected_counts_against_its_record_only(pod: Pod, lines: Lines) -> None:
    _, later = pod.park_events(2)
    pod.archive.outcomes = iter([KeyError("event_data"), None])

    pod.worker().run_cycle()

    [(entry, _)] = pod.parked()
    assert (entry.retry_count, entry.reason, entry.last_error) == (1, "unknown", "database write failed")
    assert list(pod.archive.rows) == [later]
    assert len(lines("DLQ replay raised")) == 1


def test_child_waits_for_its_parent_without_losing_attempts(pod: Pod) -> None:
    [child] = pod.park_events(1)
    pod.archive.always(Replayed.PARENT_PENDING)
    worker = pod.worker()

    for _ in range(10):
        worker.run_cycle()
        pod.clock.advance(minutes=1)
    [(entry, due_at)] = pod.parked()
    pod.archive.heal()
    worker.run_cycle()

    assert (entry.retry_count, entry.reason, due_at - entry.timestamp) == (
        0,
        "parent_pending",
        timedelta(minutes=1),
    )
    assert list(pod.archive.rows) == [child]


def test_child_that_waits_longer_than_any_parent_is_given_up(start_pod: StartPod) -> None:
    pod = start_pod(dlq_max_retries=2, dlq_backoff=WAITS)
    pod.park_events(1)
    pod.archive.always(Replayed.PARENT_PENDING)
    worker = pod.worker()

    for _ in range(4):
        worker.run_cycle()
        pod.clock.advance(minutes=6)

    assert [letter["reason"] for letter in pod.dead()] == ["max_retries"]


def test_full_dead_letters_keep_the_record_parked_for_the_longest_wait(
    start_pod: StartPod, lines: Lines
) -> None:
    pod = start_pod(dlq_dead_letter_max_len=1, dlq_max_retries=2, dlq_backoff=WAITS)
    conflicting, failing = pod.park_events(2)
    pod.archive.outcomes = iter([Replayed.CONFLICT])
    pod.archive.verdict = lambda _payload: NO_PARTITION
    worker = pod.worker()

    worker.run_cycle()
    pod.clock.advance(minutes=5)
    worker.run_cycle()
    [(entry, due_at)] = pod.parked()
    blocked_once = pod.value("dead_letter_blocked_total", stream="events")
    pod.clock.advance(minutes=5)
    worker.run_cycle()

    assert [decode(letter["message"].encode()).record_id for letter in pod.dead()] == [conflicting]
    assert (entry.record_id, entry.retry_count) == (failing, 1)
    assert due_at - entry.timestamp == WAITS[-1]
    assert blocked_once == 1
    assert pod.value("dead_letter_blocked_total", stream="events") == 2
    assert len(pod.parked()) == 1
    assert {line["reason"] for line in lines("Failed to move to dead letter")} == {"max_retries"}
    assert pod.archive.attempts.count(failing) == 3

    pod.client.delete("audit:dead-letter:events")
    pod.clock.advance(minutes=5)
    worker.run_cycle()

    assert [letter["final_retry_count"] for letter in pod.dead()] == ["2"]
    assert pod.parked() == []


def test_unreadable_entries_that_find_no_room_keep_all_they_have(start_pod: StartPod) -> None:
    pod = start_pod(dlq_dead_letter_max_len=1)
    pod.put(b"first")
    pod.put(note="second")
    pod.put(note="third")

    pod.worker().run_cycle()
    parked = pod.client.zrange("audit:dlq:events:retry", 0, -1)
    pod.client.delete("audit:dead-letter:events")
    pod.clock.advance(days=1)
    pod.worker().run_cycle()

    assert sorted(parked) == [b'{"note":"second"}', b'{"note":"third"}']
    assert [json.loads(letter["raw"]) for letter in pod.dead()] == [{"message": '{"note":"second"}'}]


def test_notifications_are_replayed_like_events(pod: Pod, lines: Lines) -> None:
    notification_id = pod.park_notification()

    pod.worker().run_cycle()

    assert list(pod.archive.rows) == [notification_id]
    assert (pod.depth(NOTIFICATIONS), pod.depth(EVENTS)) == (0, 0)
    assert lines("DLQ message processed successfully")[0]["audit_type"] == "notifications"
    assert pod.value("dlq_retry_total", stream="notifications", result="success") == 1
