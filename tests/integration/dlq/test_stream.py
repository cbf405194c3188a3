"""What redis-py and the server answer, in both versions of the protocol."""

from datetime import timedelta
from typing import Any

import pytest
import redis

from datastorage.dlq.keys import KEYS
from tests.integration.dlq.conftest import StartPod
from tests.support.pods import EVENTS, NOTIFICATIONS, Pod

AT_ONCE = timedelta()


@pytest.fixture
def pod(client_of_each_protocol: redis.Redis) -> Pod:
    pod = Pod(client_of_each_protocol)
    pod.queue.create_groups()
    return pod


def test_group_is_created_once(pod: Pod) -> None:
    pod.park_events(1)
    pod.queue.create_groups()

    groups: Any = pod.client.xinfo_groups(KEYS[EVENTS].stream)

    assert [group["name"] for group in groups] == [b"data-storage-retry-workers"]
    assert len(pod.queue.read_new(EVENTS, 10)) == 1


def test_group_created_late_sees_what_was_queued_before(client: redis.Redis) -> None:
    pod = Pod(client)
    pod.park_events(2)

    pod.queue.create_groups()

    assert len(pod.queue.read_new(EVENTS, 10)) == 2


def test_empty_stream_gives_nothing(pod: Pod) -> None:
    assert pod.queue.read_new(EVENTS, 10) == []
    assert pod.queue.read_own(EVENTS, 10) == []
    assert pod.queue.await_new(10, 0.01) == []
    assert pod.queue.claim(EVENTS, min_idle=AT_ONCE, count=10) == []


def test_new_entries_are_given_to_one_reader(pod: Pod) -> None:
    pod.park_events(3)

    first, second, third = (pod.queue.read_new(EVENTS, 2) for _ in range(3))

    assert (len(first), len(second), len(third)) == (2, 1, 0)
    assert {delivery.stream for delivery in [*first, *second]} == {EVENTS}
    assert pod.pending() == 3


def test_waiting_reader_takes_from_both_streams(pod: Pod) -> None:
    pod.park_events(2)
    pod.park_notification()

    taken = pod.queue.await_new(10, 0.01)

    assert sorted(delivery.stream for delivery in taken) == [EVENTS, EVENTS, NOTIFICATIONS]
    assert all(delivery.message for delivery in taken)


def test_own_entries_are_read_again_page_by_page(pod: Pod) -> None:
    pod.park_events(5)
    taken = pod.queue.read_new(EVENTS, 5)

    first = pod.queue.read_own(EVENTS, 3)
    rest = pod.queue.read_own(EVENTS, 3, first[-1].id)

    assert [(each.id, each.fields) for each in [*first, *rest]] == [(each.id, each.fields) for each in taken]


def test_reading_again_and_taking_over_raise_no_delivery_counter(pod: Pod) -> None:
    pod.park_events(3)
    pod.queue.read_new(EVENTS, 3)
    other = Pod(pod.client, "pod-b")

    for _ in range(3):
        own = pod.queue.read_own(EVENTS, 3)
        claimed = other.queue.claim(EVENTS, min_idle=AT_ONCE, count=10)
        pod.queue.claim(EVENTS, min_idle=AT_ONCE, count=10)

    assert [each.earlier_deliveries for each in own] == [1, 1, 1]
    assert own == claimed


def test_deleted_entries_do_not_stay_pending(pod: Pod) -> None:
    pod.park_events(6)
    taken = pod.queue.read_new(EVENTS, 6)
    for delivery in taken[:5]:
        pod.client.xdel(KEYS[EVENTS].stream, delivery.id)

    own = pod.queue.read_own(EVENTS, 2)

    assert [each.id for each in own] == [taken[5].id]
    assert pod.pending() == 1


def test_abandoned_entries_are_taken_over(pod: Pod) -> None:
    pod.park_events(3)
    taken = pod.queue.read_new(EVENTS, 3)
    pod.client.xdel(KEYS[EVENTS].stream, taken[0].id)
    other = Pod(pod.client, "pod-b")

    too_early = other.queue.claim(EVENTS, min_idle=timedelta(minutes=1), count=10)
    claimed = other.queue.claim(EVENTS, min_idle=AT_ONCE, count=10)

    assert (too_early, [each.id for each in claimed]) == ([], [each.id for each in taken[1:]])
    assert pod.queue.read_own(EVENTS, 10) == []


def test_abandoned_entries_behind_those_of_the_living_are_found(start_pod: StartPod) -> None:
    living, dead, heir = start_pod("living"), start_pod("dead"), start_pod("heir")
    living.park_events(60)
    living.queue.create_groups()
    living.queue.read_new(EVENTS, 59)
    [abandoned] = dead.queue.read_new(EVENTS, 1)
    living.client.execute_command(  # type: ignore[no-untyped-call]
        "XCLAIM",
        KEYS[EVENTS].stream,
        dead.settings.dlq_consumer_group,
        "dead",
        0,
        abandoned.id,
        "IDLE",
        60_000,
    )

    claimed = heir.queue.claim(EVENTS, min_idle=timedelta(minutes=1), count=1)

    assert [each.id for each in claimed] == [abandoned.id]


def test_only_the_entry_in_work_is_counted_and_may_be_spared(pod: Pod) -> None:
    pod.park_events(3)
    pod.queue.read_new(EVENTS, 3)
    first, second, _ = pod.queue.read_own(EVENTS, 3)

    for delivery in (first, second):
        pod.queue.begin(delivery)
    pod.queue.spare(second)

    assert [each.earlier_deliveries for each in pod.queue.read_own(EVENTS, 3)] == [2, 1, 1]


def test_only_one_of_two_holders_moves_an_entry(start_pod: StartPod) -> None:
    first, second = start_pod("pod-a"), start_pod("pod-b")
    first.park_events(2)
    first.queue.create_groups()
    [parked, buried] = first.queue.read_new(EVENTS, 2)
    second.queue.claim(EVENTS, min_idle=AT_ONCE, count=10)

    outcomes = [pod.queue.park(parked, parked.message or b"", pod.clock.now) for pod in (first, second)]
    outcomes += [pod.queue.bury(buried, {"reason": "conflict"}, "") for pod in (first, second)]

    assert outcomes == [True, False, True, False]
    assert (len(first.parked()), len(first.dead()), first.depth(), first.pending()) == (1, 1, 0, 0)


def test_consumer_leaves_the_group_with_empty_hands_only(pod: Pod) -> None:
    pod.park_events(1)
    [delivery] = pod.queue.read_new(EVENTS, 1)

    def consumers() -> list[bytes]:
        found: Any = pod.client.xinfo_consumers(KEYS[EVENTS].stream, pod.settings.dlq_consumer_group)
        return [consumer["name"] for consumer in found]

    pod.queue.leave()
    while_holding = consumers()
    pod.queue.finish(delivery, "")
    pod.queue.leave()

    assert (while_holding, consumers()) == ([b"pod-a"], [])


def test_idle_consumers_are_removed_unless_they_hold_something(start_pod: StartPod) -> None:
    gone, holding, living = (start_pod(name) for name in ("gone", "holding", "living"))
    gone.park_events(1)
    gone.queue.create_groups()
    holding.queue.read_new(EVENTS, 1)
    gone.queue.read_new(EVENTS, 1)

    living.queue.remove_idle_consumers(timedelta(hours=1))
    while_young = consumers(living)
    living.queue.remove_idle_consumers(timedelta())

    assert (while_young, consumers(living)) == ({"gone", "holding"}, {"holding"})
    assert living.pending() == 1


def test_consumers_of_a_queue_without_a_group_are_none(pod: Pod) -> None:
    pod.client.flushdb()

    pod.queue.leave()
    pod.queue.remove_idle_consumers(timedelta())

    assert pod.client.keys() == []


def consumers(pod: Pod) -> set[str]:
    found: Any = pod.client.xinfo_consumers(KEYS[EVENTS].stream, pod.settings.dlq_consumer_group)
    return {consumer["name"].decode() for consumer in found}
