"""The retry loop: recovery, outages, abandoned and deadly entries, and who runs it."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from datastorage.dlq.keys import KEYS
from datastorage.errors import Unavailable
from datastorage.platform.pod_lock import PodLock
from tests.integration.dlq.conftest import Lines, StartPod
from tests.support.pods import EVENTS, NO_PARTITION, NOTIFICATIONS, UNREACHABLE, Pod, make_idle
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from datastorage.dlq.worker import RetryWorker

READ_ONLY = Unavailable("no", reason="read_only", sqlstate="25006", server_message="read only")
QUICKLY = timedelta(milliseconds=100)


def die_holding(pod: Pod, count: int = 1) -> None:
    """Take new entries as ``pod`` and leave them there, as if its process had died at once."""
    pod.queue.create_groups()
    pod.queue.read_new(EVENTS, count)


def test_unreachable_database_leaves_everything_as_it_is(pod: Pod, lines: Lines) -> None:
    pod.park_events(3)
    pod.park_notification()
    before = pod.entries()
    pod.is_database_up = False
    worker = pod.worker()

    for _ in range(50):
        worker.run_cycle()
        pod.clock.advance(days=1)

    assert pod.entries() == before
    assert (pod.archive.attempts, pod.parked(), pod.dead(), pod.pending()) == ([], [], [], 0)
    [paused] = lines("DLQ paused, database unreachable")
    assert (paused["depth_events"], paused["depth_notifications"]) == (3, 1)
    assert lines("DLQ resumed") == []

    pod.is_database_up = True
    worker.run_cycle()

    assert len(pod.archive.rows) == 4
    assert (pod.depth(), pod.depth(NOTIFICATIONS)) == (0, 0)
    assert [line["outage_seconds"] >= 0 for line in lines("DLQ resumed")] == [True]


def test_database_that_answers_but_takes_nothing_is_an_outage(pod: Pod, lines: Lines) -> None:
    pod.park_events(2)
    pod.archive.always(READ_ONLY)
    worker = pod.worker()

    for _ in range(3):
        worker.run_cycle()
    still_down = lines("DLQ resumed")
    pod.archive.heal()
    worker.run_cycle()

    assert len(lines("DLQ paused, database unreachable")) == 1
    assert (still_down, len(lines("DLQ resumed"))) == ([], 1)


def test_held_entries_come_first(pod: Pod) -> None:
    held = pod.park_events(3)
    pod.archive.outcomes = iter([UNREACHABLE])
    worker = pod.worker()
    worker.run_cycle()
    later = pod.park_events(1)

    worker.run_cycle()

    assert list(pod.archive.rows) == [*held, *later]


def test_what_a_dead_process_of_this_pod_held_is_processed_first(start_pod: StartPod) -> None:
    pod = start_pod(dlq_max_batch_size=2)
    held = pod.park_events(5)
    die_holding(pod, 5)
    later = pod.park_events(1)

    pod.worker().run_cycle()

    assert list(pod.archive.rows) == [*held, *later]
    assert (pod.depth(), pod.pending()) == (0, 0)


def test_what_a_dead_pod_held_is_taken_over_when_it_is_idle(start_pod: StartPod) -> None:
    dead, heir = start_pod("dead"), start_pod("heir", dlq_claim_interval=QUICKLY / 100)
    dead.park_events(25)
    die_holding(dead, 25)
    worker = heir.worker()

    worker.run_cycle()
    while_alive = len(heir.archive.rows)
    make_idle(dead, 61)
    worker.run_cycle()

    assert (while_alive, len(heir.archive.rows)) == (0, 25)
    assert (heir.depth(), heir.pending()) == (0, 0)


def test_claims_are_an_interval_apart(start_pod: StartPod) -> None:
    dead, heir = start_pod("dead"), start_pod("heir")
    dead.park_events(1)
    die_holding(dead)
    worker = heir.worker()
    worker.run_cycle()
    make_idle(dead, 61)

    worker.run_cycle()

    assert heir.archive.rows == {}


def test_two_pods_store_a_shared_entry_once(start_pod: StartPod) -> None:
    first, second = start_pod("pod-a"), start_pod("pod-b", dlq_claim_min_idle=timedelta())
    second.archive.rows = first.archive.rows
    [event_id] = first.park_events(1)
    first.queue.create_groups()
    [held] = first.queue.read_new(EVENTS, 1)

    second.worker().run_cycle()
    first.replayer.process(held)

    assert list(first.archive.rows) == [event_id]
    assert (first.depth(), first.pending(), first.parked()) == (0, 0, [])
    assert first.value("dlq_retry_total", stream="events", result="duplicate") == 1


def test_two_pods_park_a_shared_entry_once(start_pod: StartPod) -> None:
    first, second = start_pod("pod-a"), start_pod("pod-b", dlq_claim_min_idle=timedelta())
    for pod in (first, second):
        pod.archive.always(NO_PARTITION)
    first.park_events(1)
    first.queue.create_groups()
    [held] = first.queue.read_new(EVENTS, 1)

    second.worker().run_cycle()
    first.replayer.process(held)

    assert (len(first.parked()), first.depth(), first.pending()) == (1, 0, 0)


def test_backlog_of_an_outage_is_stored_in_one_cycle(pod: Pod) -> None:
    pod.park_events(1200)

    pod.worker().run_cycle()

    assert (len(pod.archive.rows), pod.depth()) == (1200, 0)


class running:  # noqa: N801 - reads as a word of the test
    """A retry loop on its own thread."""

    def __init__(self, pod: Pod, lock: Path) -> None:
        self._worker: RetryWorker = pod.worker(lock)

    def __enter__(self) -> None:
        self._worker.start()

    def __exit__(self, *_error: object) -> None:
        assert self._worker.stop(timedelta(seconds=2))


def test_entry_that_arrives_while_the_loop_listens_is_stored_at_once(
    start_pod: StartPod, tmp_path: Path
) -> None:
    pod = start_pod(dlq_read_timeout=timedelta(seconds=20), dlq_poll_interval=timedelta(seconds=20))

    with running(pod, tmp_path / "lock"):
        eventually(lambda: bool(pod.client.exists(KEYS[NOTIFICATIONS].stream)))
        pod.park_events(1)
        eventually(lambda: pod.depth() == 0)

    assert len(pod.archive.rows) == 1


def test_levels_are_shown(pod: Pod) -> None:
    first_queued = pod.clock.now
    pod.park_events(2, NO_PARTITION)
    pod.worker().run_cycle()
    pod.clock.advance(seconds=30)
    pod.park_events(3)
    pod.put(b"{")
    pod.archive.outcomes = iter([UNREACHABLE])
    pod.clock.advance(seconds=10)

    pod.worker().run_cycle()

    assert pod.value("dlq_depth", stream="events") == 4
    assert pod.value("dlq_parked", stream="events") == 2
    assert pod.value("dlq_pending", stream="events") == 4
    assert pod.value("dead_letter_depth", stream="events") == 0
    age_seconds = (pod.clock.now - first_queued).total_seconds()
    assert pod.value("dlq_oldest_entry_age_seconds", stream="events") == age_seconds == 40
    assert pod.value("dlq_oldest_entry_age_seconds", stream="notifications") == 0


def test_gauges_fall_when_the_queue_empties_without_new_entries(start_pod: StartPod) -> None:
    pod = start_pod(dlq_max_len=100)
    pod.park_events(90)
    near_full = pod.value("dlq_near_full", stream="events")

    pod.worker().run_cycle()

    assert near_full == 1
    for name in ("depth_ratio", "capacity_ratio", "depth", "near_full", "oldest_entry_age_seconds"):
        assert pod.value(f"dlq_{name}", stream="events") == 0


def test_start_and_stop_are_said_with_their_settings(pod: Pod, lines: Lines, tmp_path: Path) -> None:
    worker = pod.worker(tmp_path / "lock")

    worker.start()
    eventually(lambda: bool(lines("DLQ retry worker started")))
    stopped = worker.stop(timedelta(seconds=5))

    [line] = lines("DLQ retry worker started")
    assert stopped
    assert (line["poll_interval"], line["max_batch_size"], line["read_timeout"]) == (30, 10, 0.001)
    assert (line["consumer_group"], line["consumer_name"]) == ("data-storage-retry-workers", "pod-a")
    assert len(lines("DLQ retry worker stopped")) == 1


def test_candidate_that_never_held_the_lock_says_nothing(pod: Pod, lines: Lines, tmp_path: Path) -> None:
    holder, candidate = PodLock(tmp_path / "lock"), pod.worker(tmp_path / "lock")
    assert holder.try_hold()

    candidate.start()
    stopped = candidate.stop(timedelta(seconds=5))

    assert stopped
    assert (lines("DLQ retry worker started"), lines("DLQ retry worker stopped")) == ([], [])
    holder.release()


def test_lock_is_free_again_when_the_loop_stops(pod: Pod, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    worker = pod.worker(lock)
    worker.start()
    eventually(lambda: bool(pod.client.exists(KEYS[EVENTS].stream)))
    while_running = PodLock(lock).try_hold()

    worker.stop(timedelta(seconds=5))
    afterwards = PodLock(lock)

    assert (while_running, afterwards.try_hold()) == (False, True)
    afterwards.release()


def test_redis_that_comes_back_empty_is_served_again(
    start_pod: StartPod, tmp_path: Path, lines: Lines
) -> None:
    pod = start_pod(dlq_poll_interval=QUICKLY)

    with running(pod, tmp_path / "lock"):
        eventually(lambda: bool(pod.client.exists(KEYS[EVENTS].stream)))
        pod.client.flushdb()
        eventually(lambda: bool(lines("DLQ unreachable")))
        pod.park_events(2)
        eventually(lambda: len(pod.archive.rows) == 2)
        eventually(lambda: pod.pending() == 0)

    assert pod.depth() == 0


HOLD = """
import sys, time
from pathlib import Path
from datastorage.platform.pod_lock import PodLock
lock = PodLock(Path(sys.argv[1]))
print(lock.try_hold(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process with the lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own code
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def test_killed_holder_frees_the_lock_for_another_process(
    holder: "subprocess.Popen[str]", start_pod: StartPod, tmp_path: Path
) -> None:
    pod = start_pod(dlq_poll_interval=QUICKLY)
    pod.park_events(3)

    with running(pod, tmp_path / "lock"):
        assert not PodLock(tmp_path / "lock").try_hold()
        assert pod.archive.rows == {}
        holder.send_signal(signal.SIGKILL)
        killed_at = time.monotonic()
        eventually(lambda: len(pod.archive.rows) == 3)

    assert time.monotonic() - killed_at < 6
