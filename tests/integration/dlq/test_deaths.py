"""Processes die with entries in hand: the innocent are stored, the deadly are found and given up."""

from datastorage.dlq.replay import Replayed
from datastorage.errors import Unavailable
from tests.integration.dlq.conftest import Lines, StartPod
from tests.support.pods import EVENTS, UNREACHABLE, Pod, make_idle

MAXIMUM = 5
READ_ONLY = Unavailable("no", reason="read_only", sqlstate="25006", server_message="read only")


class Killed(BaseException):
    """Nobody catches it: the process is gone, and what it held is where it was."""


def be_killed_by(pod: Pod, event_id: str | None = None) -> None:
    """Run a cycle in a process of its own that dies of one entry, or at the first it comes to."""

    def judge(payload: dict[str, object]) -> Replayed | None:
        if event_id in {None, payload["event_id"]}:
            raise Killed
        return None

    pod.archive.verdict = judge
    try:
        pod.worker().run_cycle()
    except Killed:
        return
    raise AssertionError("it never came to the entry")


def test_entries_that_share_a_batch_with_every_death_are_stored(pod: Pod) -> None:
    event_ids = pod.park_events(10)

    for _ in range(3 * MAXIMUM):
        be_killed_by(pod)
    pod.archive.heal()
    pod.worker().run_cycle()

    assert sorted(pod.archive.rows) == sorted(event_ids)
    assert (pod.dead(), pod.depth(), pod.pending()) == ([], 0, 0)


def test_deadly_entry_is_given_up_and_all_others_are_stored(pod: Pod, lines: Lines) -> None:
    before = pod.park_events(3)
    [deadly] = pod.park_events(1)
    after = pod.park_events(5)

    for _ in range(MAXIMUM + 1):
        be_killed_by(pod, deadly)
    stored_before_it_is_given_up = sorted(pod.archive.rows)
    pod.worker().run_cycle()

    [letter] = pod.dead()
    assert stored_before_it_is_given_up == sorted([*before, *after])
    assert (letter["reason"], letter["final_retry_count"]) == ("max_deliveries", "0")
    assert deadly in letter["message"]
    assert (pod.depth(), pod.pending(), pod.ids()) == (0, 0, set())
    assert lines("Message moved to dead letter")[0]["reason"] == "max_deliveries"


def test_after_its_first_death_an_entry_comes_after_all_others(pod: Pod) -> None:
    [deadly, *others] = pod.park_events(4)
    be_killed_by(pod, deadly)  # as one of a batch: nobody knows which it was
    be_killed_by(pod, deadly)
    others += pod.park_events(2)

    be_killed_by(pod, deadly)

    assert sorted(pod.archive.rows) == sorted(others)


def test_as_many_deaths_as_allowed_cost_nothing(pod: Pod) -> None:
    [event_id] = pod.park_events(1)
    for _ in range(MAXIMUM):
        be_killed_by(pod, event_id)
    pod.archive.heal()

    pod.worker().run_cycle()

    assert (list(pod.archive.rows), pod.dead()) == ([event_id], [])


def test_deadly_entry_of_a_dead_pod_is_given_up(start_pod: StartPod) -> None:
    dead, heir = start_pod("dead"), start_pod("heir")
    [deadly] = dead.park_events(1)
    for _ in range(MAXIMUM + 1):
        be_killed_by(dead, deadly)
    make_idle(dead, 61)

    heir.worker().run_cycle()

    assert [letter["reason"] for letter in heir.dead()] == ["max_deliveries"]
    assert heir.archive.attempts == []


def test_restarts_while_the_database_takes_nothing_make_no_entry_deadly(pod: Pod) -> None:
    event_ids = pod.park_events(3)

    for fault in [READ_ONLY, UNREACHABLE] * MAXIMUM:
        pod.archive.always(fault)
        pod.worker().run_cycle()
    pod.archive.heal()
    pod.worker().run_cycle()

    assert (list(pod.archive.rows), pod.dead()) == (event_ids, [])


def test_entry_that_survives_an_attempt_keeps_what_is_known_of_it(pod: Pod) -> None:
    [event_id] = pod.park_events(1)
    for _ in range(3):
        be_killed_by(pod, event_id)
    pod.archive.always(READ_ONLY)

    pod.worker().run_cycle()

    assert [each.earlier_deliveries for each in pod.queue.read_own(EVENTS, 1)] == [3]
