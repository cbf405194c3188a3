"""Parking records: capacity, warnings, refusals."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from datastorage.dlq.entry import EntryType
from datastorage.embedded.redis import EmbeddedRedis
from datastorage.errors import QueueUnusable
from datastorage.platform.logs import RequestContext, request_context
from tests.integration.dlq.conftest import Lines, StartPod
from tests.support.pods import EVENTS, NO_PARTITION, NOTIFICATIONS, Pod, connect
from tests.support.service import free_port

BOTH_UNAVAILABLE = "database and DLQ both unavailable - please retry"
CAPACITY_LINES = ("DLQ near capacity", "DLQ CRITICAL capacity", "DLQ OVERFLOW IMMINENT")
NO_FLAGS = {"warning": 0, "critical": 0, "near_full": 0, "overflow_imminent": 0}


def a_queue_of(start_pod: StartPod, depth: int) -> Pod:
    """Return a pod whose event queue has 1000 places and ``depth`` entries, the last just queued."""
    pod = start_pod(dlq_max_len=1000)
    if depth > 1:
        pod.park_events(depth - 1)
    if depth:
        pod.park_events(1)
    return pod


def test_parked_event_is_one_entry_with_one_field(pod: Pod) -> None:
    token = request_context.set(RequestContext(request_id="7f3f0a2e"))
    [event_id] = pod.park_events(1, NO_PARTITION, event_type="gateway.signal.received")
    request_context.reset(token)

    stored: Any = pod.client.xrange("audit:dlq:events")
    [(_id, fields)] = stored
    [entry] = pod.entries()
    assert list(fields) == [b"message"]
    assert entry.type is EntryType.AUDIT_EVENT
    assert entry.payload == {
        "event_id": event_id,
        "correlation_id": "rr-7",
        "event_type": "gateway.signal.received",
        "event_data": {},
    }
    assert (entry.timestamp, entry.first_enqueued_at) == (pod.clock.now, pod.clock.now)
    assert (entry.retry_count, entry.reason, entry.request_id) == (0, "partition_missing", "7f3f0a2e")
    assert entry.last_error == '23514: no partition of relation "audit_events" found for row'
    assert pod.ids() == {event_id}


def test_no_key_expires(pod: Pod) -> None:
    pod.park_events(1)

    assert [pod.client.ttl(key) for key in ("audit:dlq:events", "audit:dlq:events:ids")] == [-1, -1]


def test_each_type_has_its_own_stream(pod: Pod) -> None:
    pod.park_notification()

    assert (pod.depth(EVENTS), pod.depth(NOTIFICATIONS)) == (0, 1)
    assert pod.entries(NOTIFICATIONS)[0].type is EntryType.NOTIFICATION_AUDIT
    assert pod.ids() == set()
    assert pod.value("dlq_enqueue_total", stream="notifications", type="notification_audit") == 1


def test_look_up_tells_queued_events_from_others(pod: Pod) -> None:
    first, second = pod.park_events(2)

    assert pod.dlq.are_queued([second, "somebody-else", first]) == [True, False, True]
    assert pod.dlq.are_queued([]) == []


@pytest.mark.parametrize(
    ("depth", "ratio"),
    [
        (0, 0.0),
        (100, 0.1),
        (500, 0.5),
        (750, 0.75),
        (800, 0.80),
        (850, 0.85),
        (900, 0.90),
        (950, 0.95),
        (1000, 1.0),
    ],
)
def test_ratio_is_depth_by_bound(start_pod: StartPod, depth: int, ratio: float) -> None:
    pod = a_queue_of(start_pod, depth)

    assert pod.value("dlq_depth", stream="events") == depth
    assert pod.value("dlq_max_len", stream="events") == 1000
    assert pod.value("dlq_depth_ratio", stream="events") == pytest.approx(ratio, abs=0.001)
    assert pod.value("dlq_capacity_ratio", stream="events") == pytest.approx(ratio, abs=0.001)


def test_below_four_fifths_nothing_is_said(start_pod: StartPod, lines: Lines) -> None:
    pod = a_queue_of(start_pod, 700)

    assert [line for message in CAPACITY_LINES for line in lines(message)] == []
    assert pod.flags() == NO_FLAGS


@dataclass(frozen=True)
class Threshold:
    depth: int
    message: str
    level: int
    flags: dict[str, int]


@pytest.mark.parametrize(
    "threshold",
    [
        Threshold(800, "DLQ near capacity", logging.INFO, {"warning": 1}),
        Threshold(900, "DLQ CRITICAL capacity", logging.ERROR, {"critical": 1, "near_full": 1}),
        Threshold(950, "DLQ OVERFLOW IMMINENT", logging.ERROR, {"near_full": 1, "overflow_imminent": 1}),
        Threshold(1000, "DLQ OVERFLOW IMMINENT", logging.ERROR, {"near_full": 1, "overflow_imminent": 1}),
    ],
    ids=lambda threshold: str(threshold.depth),
)
def test_every_threshold_is_said_and_shown(start_pod: StartPod, lines: Lines, threshold: Threshold) -> None:
    pod = a_queue_of(start_pod, threshold.depth)

    line = lines(threshold.message)[-1]
    depth = threshold.depth
    assert line["levelno"] == threshold.level
    assert (line["depth"], line["max"], line["ratio"]) == (depth, 1000, depth / 1000)
    assert line["stream"] == "audit:dlq:events"
    assert line["summary"] == f"{threshold.message}: {depth}/1000 ({depth // 10}%)"
    assert pod.flags() == NO_FLAGS | threshold.flags
    assert pod.flags(NOTIFICATIONS) == NO_FLAGS


def test_percentage_that_is_not_whole_has_one_decimal(start_pod: StartPod, lines: Lines) -> None:
    a_queue_of(start_pod, 855)

    assert lines("DLQ near capacity")[-1]["summary"] == "DLQ near capacity: 855/1000 (85.5%)"


def test_every_entry_of_a_band_is_said(start_pod: StartPod, lines: Lines) -> None:
    pod = a_queue_of(start_pod, 810)

    for _ in range(3):
        pod.park_events(1)

    assert [line["depth"] for line in lines("DLQ near capacity")][-3:] == [811, 812, 813]


def test_full_queue_refuses_and_keeps_what_it_has(start_pod: StartPod, lines: Lines) -> None:
    pod = a_queue_of(start_pod, 1000)
    [first] = pod.client.xrange("audit:dlq:events", count=1)  # type: ignore[misc]

    with pytest.raises(QueueUnusable) as refusal:
        pod.park_events(1, event_type="gateway.signal.received")

    assert refusal.value.detail == "database unavailable and DLQ full - please retry"
    assert refusal.value.retry_after_seconds == 5
    assert pod.depth() == 1000
    assert pod.client.xrange("audit:dlq:events", count=1) == [first]
    assert pod.value("dlq_enqueue_failures_total", stream="events", reason="full") == 1
    [full] = lines("DLQ FULL - audit write refused")
    assert (full["depth"], full["max"], full["ratio"], full["stream"]) == (
        1000,
        1000,
        1.0,
        "audit:dlq:events",
    )
    [risk] = lines("DLQ fallback also failed - data loss risk")
    names = ("event_type", "correlation_id", "count", "db_reason", "dlq_reason")
    assert [risk[name] for name in names] == ["gateway.signal.received", "rr-7", 1, "db_unreachable", "full"]


def test_concurrent_writers_share_the_last_places(start_pod: StartPod) -> None:
    pod = start_pod(dlq_max_len=100)
    pod.park_events(95)

    def try_to_park(_writer: int) -> bool:
        try:
            pod.park_events(1)
        except QueueUnusable:
            return False
        return True

    with ThreadPoolExecutor(20) as writers:
        succeeded = list(writers.map(try_to_park, range(20)))

    assert succeeded.count(True) == 5
    assert pod.depth() == 100


def test_batch_is_queued_completely_or_not_at_all(start_pod: StartPod) -> None:
    pod = start_pod(dlq_max_len=10)
    pod.park_events(8)

    with pytest.raises(QueueUnusable):
        pod.park_events(3)
    depth_after_refusal, ids_after_refusal = pod.depth(), pod.ids()
    event_ids = pod.park_events(2)

    assert (depth_after_refusal, len(ids_after_refusal)) == (8, 8)
    assert [entry.record_id for entry in pod.entries()[-2:]] == event_ids
    assert pod.value("dlq_enqueue_total", stream="events", type="audit_event") == 10
    assert pod.value("dlq_enqueue_failures_total", stream="events", reason="full") == 3


def test_entries_waiting_for_their_backoff_count_against_the_bound(start_pod: StartPod) -> None:
    pod = start_pod(dlq_max_len=10)
    pod.park_events(6, NO_PARTITION)
    pod.worker().run_cycle()

    with pytest.raises(QueueUnusable):
        pod.park_events(5)
    pod.park_events(4)

    assert (pod.depth(), len(pod.parked())) == (4, 6)


def test_record_larger_than_an_entry_may_be_is_refused(start_pod: StartPod) -> None:
    pod = start_pod(dlq_max_entry_bytes=1000)

    with pytest.raises(QueueUnusable, match=BOTH_UNAVAILABLE):
        pod.park_notification(message_summary="x" * 1000)

    assert pod.depth(NOTIFICATIONS) == 0
    assert pod.value("dlq_enqueue_failures_total", stream="notifications", reason="too_large") == 1


def test_refused_notification_is_named(start_pod: StartPod, lines: Lines) -> None:
    pod = start_pod(dlq_max_entry_bytes=1)

    with pytest.raises(QueueUnusable):
        pod.park_notification(notification_id="ntf-1", remediation_id="rr-3")

    [risk] = lines("DLQ fallback also failed - data loss risk")
    assert (risk["notification_id"], risk["correlation_id"], risk["dlq_reason"]) == (
        "ntf-1",
        "rr-3",
        "too_large",
    )
    assert "event_type" not in risk


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path, port=free_port()) as server:
        yield server


def test_killed_redis_is_unavailable_and_comes_back_with_everything(own_redis: EmbeddedRedis) -> None:
    with connect(own_redis.url) as client:
        pod = Pod(client)
        queued = pod.park_events(3)
        pod.queue.create_groups()
        held = pod.queue.read_new(EVENTS, 2)
        own_redis.kill()

        with pytest.raises(QueueUnusable, match=BOTH_UNAVAILABLE):
            pod.park_events(1)
        with pytest.raises(QueueUnusable):
            pod.dlq.are_queued(queued)
        own_redis.start()

        assert pod.value("dlq_enqueue_failures_total", stream="events", reason="redis_unavailable") == 1
        assert [entry.record_id for entry in pod.entries()] == queued
        assert pod.ids() == set(queued)
        assert [each.id for each in pod.queue.read_own(EVENTS, 10)] == [each.id for each in held]
        assert [delivery.stream for delivery in pod.queue.read_new(EVENTS, 10)] == [EVENTS]


def test_frozen_redis_is_a_timeout_within_the_budget(own_redis: EmbeddedRedis) -> None:
    with connect(own_redis.url, socket_timeout=0.2) as client:
        pod = Pod(client)
        own_redis.freeze()

        with pytest.raises(QueueUnusable):
            pod.park_events(1)
        own_redis.thaw()

        assert pod.value("dlq_enqueue_failures_total", stream="events", reason="timeout") == 1
        assert pod.value("dlq_enqueue_duration_seconds_sum", stream="events") < 3


def test_wrong_password_is_its_own_reason(own_redis: EmbeddedRedis) -> None:
    with connect(own_redis.url.replace(own_redis.password, "wrong")) as client:
        pod = Pod(client)

        with pytest.raises(QueueUnusable):
            pod.park_events(1)

        assert pod.value("dlq_enqueue_failures_total", stream="events", reason="auth") == 1


def test_replica_is_read_only(own_redis: EmbeddedRedis) -> None:
    with connect(own_redis.url) as client:
        client.replicaof("127.0.0.1", 1)
        client.config_set("replica-serve-stale-data", "yes")
        pod = Pod(client)

        with pytest.raises(QueueUnusable):
            pod.park_events(1)

        assert pod.value("dlq_enqueue_failures_total", stream="events", reason="readonly") == 1


def test_redis_out_of_memory_refuses_new_entries_and_gives_back_old_ones(own_redis: EmbeddedRedis) -> None:
    with connect(own_redis.url) as client:
        pod = Pod(client)
        stored = pod.park_events(5)
        pod.park_events(2, NO_PARTITION)
        pod.park_notification()
        pod.put(b"{")
        client.config_set("maxmemory", "1")

        with pytest.raises(QueueUnusable, match=BOTH_UNAVAILABLE):
            pod.park_events(2)
        depth_after_refusal = pod.depth()
        pod.worker().run_cycle()
        pod.clock.advance(minutes=2)
        parked = len(pod.parked())
        pod.worker().run_cycle()

        assert pod.value("dlq_enqueue_failures_total", stream="events", reason="oom") == 2
        assert depth_after_refusal == 8
        assert parked == 2
        assert len(pod.archive.rows) == len(stored) + 2 + 1
        assert (pod.depth(), pod.depth(NOTIFICATIONS), pod.parked(), len(pod.dead())) == (0, 0, [], 1)


def test_durable_queue_waits_for_the_append_only_file(own_redis: EmbeddedRedis) -> None:
    with connect(own_redis.url) as client:
        pod = Pod(client, dlq_require_aof="true")

        pod.park_events(2)

        assert pod.depth() == 2


def test_without_append_only_file_nothing_is_durable(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path, settings={"appendonly": "no"}) as server, connect(server.url) as client:
        pod = Pod(client, dlq_require_aof="true")

        with pytest.raises(QueueUnusable, match=BOTH_UNAVAILABLE):
            pod.park_events(1)

        assert pod.value("dlq_enqueue_failures_total", stream="events", reason="not_durable") == 1


def test_end_of_a_warning_is_said_once_by_the_refresh(start_pod: StartPod, lines: Lines) -> None:
    pod = start_pod(dlq_max_len=10)
    pod.park_events(9)
    pod.park_events(1)

    pod.worker().run_cycle()
    pod.worker().run_cycle()

    [normal] = lines("DLQ capacity back to normal")
    assert (normal["depth"], normal["max"], normal["ratio"]) == (0, 10, 0.0)
    assert pod.flags() == NO_FLAGS
    assert pod.value("dlq_depth_ratio", stream="events") == 0


def test_series_exist_before_anything_is_queued(pod: Pod) -> None:
    for stream in (EVENTS, NOTIFICATIONS):
        assert pod.flags(stream) == NO_FLAGS
        assert pod.value("dlq_depth", stream=stream) == 0
        assert pod.value("dlq_enqueue_failures_total", stream=stream, reason="full") == 0
