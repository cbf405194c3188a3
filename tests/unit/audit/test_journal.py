"""The journal: nobody waits for it, nothing is lost in silence."""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Event

import pytest

from datastorage.audit.event import AuditEvent
from datastorage.audit.journal import BATCH_ROWS, Journal
from datastorage.errors import Conflict, QueueUnusable, Unavailable
from datastorage.platform.metrics import Metrics
from tests.support.builders import an_audit_event
from tests.support.waiting import eventually

SOON = timedelta(milliseconds=10)
LONG = timedelta(minutes=5)


class Trail:
    """Keeps events in memory; its gate can be shut, and it can be told to refuse."""

    def __init__(self) -> None:
        self.stored: list[AuditEvent] = []
        self.batches: list[int] = []
        self.attempts = 0
        self.gate = Event()
        self.gate.set()
        self.refuse: Callable[[AuditEvent], Exception | None] = lambda _event: None

    def record(self, event: AuditEvent) -> None:
        self._record([event])

    def record_batch(self, events: list[AuditEvent]) -> None:
        self._record(events)

    def _record(self, events: list[AuditEvent]) -> None:
        self.attempts += 1
        assert self.gate.wait(20)
        for event in events:
            refusal = self.refuse(event)
            if refusal is not None:
                raise refusal
        self.batches.append(len(events))
        self.stored += events


@pytest.fixture
def trail() -> Trail:
    return Trail()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


StartJournal = Callable[..., Journal]


@pytest.fixture
def start_journal(trail: Trail, metrics: Metrics) -> Iterator[StartJournal]:
    started: list[Journal] = []

    def start(
        *, capacity: int = 1000, gathering: timedelta = SOON, retry_budget: timedelta = LONG
    ) -> Journal:
        journal = Journal(trail, metrics)
        journal.capacity = capacity
        journal.gathering_seconds = gathering.total_seconds()
        journal.retry_pause_seconds = SOON.total_seconds()
        journal.retry_budget_seconds = retry_budget.total_seconds()
        started.append(journal)
        journal.start()
        return journal

    yield start
    trail.gate.set()
    for journal in started:
        journal.close()


def failures(metrics: Metrics) -> float:
    value = metrics.registry.get_sample_value(
        "datastorage_audit_traces_total", {"service": "gateway", "status": "failure"}
    )
    assert value is not None
    return value


def lost(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.event_id for record in caplog.records if record.message == "Audit event lost"]  # type: ignore[attr-defined]


def ids(*events: AuditEvent) -> list[str]:
    return [str(event.event_id) for event in events]


def unavailable(_event: AuditEvent) -> Unavailable:
    return Unavailable("no database")


def test_events_are_stored_in_the_order_they_came(start_journal: StartJournal, trail: Trail) -> None:
    journal = start_journal()
    events = [an_audit_event() for _ in range(5)]

    for event in events:
        journal.submit(event)

    eventually(lambda: len(trail.stored) == 5)
    assert trail.stored == events


def test_submitting_does_not_wait_for_a_write_that_hangs(start_journal: StartJournal, trail: Trail) -> None:
    journal = start_journal()
    trail.gate.clear()

    for _ in range(100):
        journal.submit(an_audit_event())

    assert trail.stored == []
    trail.gate.set()
    eventually(lambda: len(trail.stored) == 100)


def test_events_that_waited_together_share_a_transaction(start_journal: StartJournal, trail: Trail) -> None:
    journal = start_journal()
    trail.gate.clear()
    journal.submit(an_audit_event())
    eventually(lambda: trail.attempts == 1)

    for _ in range(BATCH_ROWS + 1):
        journal.submit(an_audit_event())
    trail.gate.set()

    eventually(lambda: len(trail.stored) == BATCH_ROWS + 2)
    assert trail.batches == [1, BATCH_ROWS, 1]


def test_full_transaction_waits_for_no_further_events(start_journal: StartJournal, trail: Trail) -> None:
    journal = start_journal(gathering=LONG)

    for _ in range(BATCH_ROWS):
        journal.submit(an_audit_event())

    eventually(lambda: trail.batches == [BATCH_ROWS])


def test_end_waits_for_no_further_events(start_journal: StartJournal, trail: Trail) -> None:
    journal = start_journal(gathering=LONG)
    events = [an_audit_event(), an_audit_event()]
    for event in events:
        journal.submit(event)

    journal.close()

    assert trail.stored == events


@pytest.mark.parametrize("error", [Unavailable("no database"), QueueUnusable("neither database nor queue")])
def test_event_is_tried_again_until_it_is_stored(
    start_journal: StartJournal, trail: Trail, error: Exception
) -> None:
    journal = start_journal()
    trail.refuse = lambda _event: error
    event = an_audit_event()
    journal.submit(event)
    eventually(lambda: trail.attempts >= 3)

    trail.refuse = lambda _event: None

    eventually(lambda: trail.stored == [event])


def test_event_is_given_up_when_its_time_is_over(
    start_journal: StartJournal, trail: Trail, caplog: pytest.LogCaptureFixture
) -> None:
    journal = start_journal(retry_budget=SOON)
    trail.refuse = unavailable
    first, second = an_audit_event(), an_audit_event()
    journal.submit(first)
    eventually(lambda: lost(caplog) == ids(first))

    trail.refuse = lambda _event: None
    journal.submit(second)

    eventually(lambda: trail.stored == [second])


def test_full_journal_drops_the_newest_and_says_so(
    start_journal: StartJournal, trail: Trail, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    journal = start_journal(capacity=2)
    trail.gate.clear()
    events = [an_audit_event() for _ in range(4)]
    journal.submit(events[0])
    eventually(lambda: trail.attempts == 1)

    for event in events[1:]:
        journal.submit(event)

    assert lost(caplog) == ids(events[3])
    assert failures(metrics) == 1
    trail.gate.set()
    eventually(lambda: trail.stored == events[:3])


def test_flood_of_dispensable_events_leaves_room_for_others(
    start_journal: StartJournal, trail: Trail, caplog: pytest.LogCaptureFixture
) -> None:
    journal = start_journal(capacity=3)
    journal.dispensable_capacity = 2
    trail.gate.clear()
    first, *flood, other = (an_audit_event() for _ in range(5))
    journal.submit(first)
    eventually(lambda: trail.attempts == 1)

    taken = [journal.submit(event, is_dispensable=True) for event in flood]
    is_other_taken = journal.submit(other)

    assert (taken, is_other_taken) == ([True, True, False], True)
    assert lost(caplog) == ids(flood[2])
    trail.gate.set()
    eventually(lambda: trail.stored == [first, *flood[:2], other])


def test_whoever_counts_losses_learns_of_each(trail: Trail, metrics: Metrics) -> None:
    told: list[AuditEvent] = []
    journal = Journal(trail, metrics, told.append)
    waiting, late = an_audit_event(), an_audit_event()
    journal.submit(waiting)

    journal.close()
    journal.submit(late)

    assert told == [waiting, late]


def test_one_refused_event_does_not_keep_its_neighbours_out(
    start_journal: StartJournal, trail: Trail, caplog: pytest.LogCaptureFixture
) -> None:
    journal = start_journal()
    first, bad, last = (an_audit_event() for _ in range(3))
    trail.refuse = lambda event: Conflict("taken") if event is bad else None
    trail.gate.clear()
    journal.submit(an_audit_event())
    eventually(lambda: trail.attempts == 1)

    for event in (first, bad, last):
        journal.submit(event)
    trail.gate.set()

    eventually(lambda: len(trail.stored) == 3)
    assert trail.stored[1:] == [first, last]
    assert lost(caplog) == ids(bad)


def test_unexpected_error_does_not_end_the_journal(
    start_journal: StartJournal, trail: Trail, caplog: pytest.LogCaptureFixture
) -> None:
    journal = start_journal()
    first, second = an_audit_event(), an_audit_event()
    trail.refuse = lambda event: ValueError("a bug") if event is first else None
    journal.submit(first)
    eventually(lambda: lost(caplog) == ids(first))

    journal.submit(second)

    eventually(lambda: trail.stored == [second])


def test_close_writes_what_waits(start_journal: StartJournal, trail: Trail) -> None:
    journal = start_journal()
    events = [an_audit_event() for _ in range(3)]
    for event in events:
        journal.submit(event)

    journal.close()

    assert trail.stored == events


def test_close_gives_an_event_one_attempt_and_then_says_that_it_is_lost(
    start_journal: StartJournal, trail: Trail, caplog: pytest.LogCaptureFixture
) -> None:
    journal = start_journal()
    trail.refuse = unavailable
    event = an_audit_event()
    journal.submit(event)
    eventually(lambda: trail.attempts >= 1)

    journal.close()

    assert lost(caplog) == ids(event)


def test_close_does_not_wait_longer_than_it_may(
    start_journal: StartJournal, trail: Trail, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    journal = start_journal()
    trail.gate.clear()
    in_hand, waiting = an_audit_event(), an_audit_event()
    journal.submit(in_hand)
    eventually(lambda: trail.attempts == 1)
    journal.submit(waiting)

    journal.close(SOON)

    assert lost(caplog) == ids(in_hand, waiting)
    assert failures(metrics) == 2


def test_event_submitted_after_the_end_is_lost_and_says_so(
    start_journal: StartJournal, trail: Trail, caplog: pytest.LogCaptureFixture
) -> None:
    journal = start_journal()
    journal.close()
    event = an_audit_event()

    journal.submit(event)

    assert trail.stored == []
    assert lost(caplog) == ids(event)


def test_journal_that_was_never_started_closes(
    trail: Trail, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    journal = Journal(trail, metrics)
    event = an_audit_event()
    journal.submit(event)

    journal.close()

    assert lost(caplog) == ids(event)
