from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Queue
from threading import Event
from typing import Any
from uuid import uuid4

import pytest

from datastorage.audit.model import AuditEvent, Written
from datastorage.audit.writer import GroupWriter, _Queue, _Ticket
from datastorage.errors import RowRefused, Unavailable
from tests.support.builders import an_audit_event
from tests.support.waiting import eventually

PATIENCE_SECONDS = 10
FEBRUARY = datetime(2026, 2, 14, 12, tzinfo=UTC)

Submit = Callable[[AuditEvent], Future[Written]]
Futures = list[Future[Written]]


@dataclass
class Statement:
    """One call of the append function; it lasts until the test ends it."""

    events: list[AuditEvent]
    end: Queue[list[Written] | Exception] = field(default_factory=Queue)

    def succeed(self, *outcomes: Written) -> None:
        self.end.put(list(outcomes) or [Written.CREATED] * len(self.events))

    def fail(self, error: Exception) -> None:
        self.end.put(error)


class Statements:
    """An append function whose calls the test sees begin, and ends as it likes."""

    def __init__(self) -> None:
        self._begun: Queue[Statement] = Queue()

    def __call__(self, events: Sequence[AuditEvent]) -> list[Written]:
        statement = Statement(list(events))
        self._begun.put(statement)
        end = statement.end.get(timeout=PATIENCE_SECONDS)
        if isinstance(end, Exception):
            raise end
        return end

    def next(self) -> Statement:
        return self._begun.get(timeout=PATIENCE_SECONDS)

    @property
    def has_begun_another(self) -> bool:
        return not self._begun.empty()


@pytest.fixture
def statements() -> Statements:
    return Statements()


@pytest.fixture
def writer(statements: Statements) -> GroupWriter:
    return GroupWriter(statements, max_wait_seconds=PATIENCE_SECONDS)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=16) as executor:
        yield executor


@pytest.fixture
def submit(writer: GroupWriter, threads: ThreadPoolExecutor) -> Submit:
    """Write an event in a thread, and return when it is under way or waits for its turn."""
    return submitter(writer, threads)


def submitter(writer: GroupWriter, threads: ThreadPoolExecutor) -> Submit:
    def submit(event: AuditEvent) -> Future[Written]:
        tickets_before = arrivals(writer)
        future = threads.submit(writer.write, event)
        eventually(lambda: future.done() or arrivals(writer) != tickets_before)
        return future

    return submit


def arrivals(writer: GroupWriter) -> dict[Any, int]:
    """Count what waits in each queue; a queue that is led and empty counts too."""
    return {key: len(queue.waiting) for key, queue in dict(writer._queues).items()}


def group_under_way(submit: Submit, statements: Statements, size: int) -> tuple[Statement, Futures]:
    """Let ``size`` events be one group whose statement has begun; the first of them leads."""
    submit(an_audit_event())
    first = statements.next()
    futures = [submit(an_audit_event()) for _ in range(size)]
    first.succeed()
    return statements.next(), futures


def result(future: Future[Written]) -> Written:
    return future.result(timeout=PATIENCE_SECONDS)


def error(future: Future[Written]) -> BaseException | None:
    return future.exception(timeout=PATIENCE_SECONDS)


def test_lone_event_is_written_at_once(submit: Submit, statements: Statements) -> None:
    event = an_audit_event()

    written = submit(event)
    statement = statements.next()
    statement.succeed()

    assert statement.events == [event]
    assert result(written) is Written.CREATED


def test_events_that_arrive_during_a_write_share_the_next_one(submit: Submit, statements: Statements) -> None:
    others = [an_audit_event() for _ in range(3)]
    submit(an_audit_event())
    first = statements.next()

    written = [submit(event) for event in others]
    first.succeed()
    second = statements.next()
    second.succeed(Written.CREATED, Written.IDENTICAL, Written.CONFLICT)

    assert second.events == others
    assert [result(each) for each in written] == [Written.CREATED, Written.IDENTICAL, Written.CONFLICT]


def test_nothing_is_written_while_a_group_is_under_way(submit: Submit, statements: Statements) -> None:
    submit(an_audit_event())
    first = statements.next()

    submit(an_audit_event())

    assert not statements.has_begun_another
    first.succeed()
    statements.next().succeed()


def test_leadership_passes_on_until_nobody_waits(
    submit: Submit, statements: Statements, writer: GroupWriter
) -> None:
    events = [an_audit_event() for _ in range(4)]

    written = [submit(events[0])]
    for following in events[1:]:
        statement = statements.next()
        written.append(submit(following))
        statement.succeed()
    statements.next().succeed()

    assert [result(each) for each in written] == [Written.CREATED] * 4
    eventually(lambda: not writer._queues)


def test_group_larger_than_the_limit_is_written_in_turns(
    statements: Statements, threads: ThreadPoolExecutor
) -> None:
    submit = submitter(GroupWriter(statements, max_rows=2, max_wait_seconds=PATIENCE_SECONDS), threads)
    events = [an_audit_event() for _ in range(3)]
    submit(an_audit_event())
    first = statements.next()

    written = [submit(event) for event in events]
    first.succeed()
    second = statements.next()
    second.succeed()
    third = statements.next()
    third.succeed()

    assert second.events == events[:2]
    assert third.events == events[2:]
    assert [result(each) for each in written] == [Written.CREATED] * 3


@pytest.mark.parametrize(
    "apart",
    [
        {"event_timestamp": FEBRUARY},
        {"parent_event_id": uuid4()},
        {"has_client_id": True},
    ],
    ids=["another month", "with a parent", "with an id of the client"],
)
def test_event_that_waits_for_other_things_is_not_held_up(
    submit: Submit, statements: Statements, apart: dict[str, Any]
) -> None:
    held_up = submit(an_audit_event())
    stuck = statements.next()

    written = submit(an_audit_event(**apart))
    statements.next().succeed()

    assert result(written) is Written.CREATED
    assert not held_up.done()
    stuck.succeed()


def test_refused_row_fails_alone(threads: ThreadPoolExecutor) -> None:
    bad, *good = events = [an_audit_event() for _ in range(5)]
    stored: list[AuditEvent] = []
    begun, release = Event(), Event()

    def append(group: Sequence[AuditEvent]) -> list[Written]:
        begun.set()
        assert release.wait(PATIENCE_SECONDS)
        if bad in group:
            raise RowRefused("does not fit", sqlstate="22003")
        stored.extend(group)
        return [Written.CREATED] * len(group)

    submit = submitter(GroupWriter(append, max_wait_seconds=PATIENCE_SECONDS), threads)
    submit(an_audit_event())
    assert begun.wait(PATIENCE_SECONDS)
    refused, *written = [submit(event) for event in events]
    release.set()

    assert isinstance(error(refused), RowRefused)
    assert [result(each) for each in written] == [Written.CREATED] * 4
    assert stored[1:] == good


def test_failure_of_the_database_reaches_the_whole_group(submit: Submit, statements: Statements) -> None:
    statement, futures = group_under_way(submit, statements, 3)

    statement.fail(Unavailable("gone", reason="db_unreachable", sqlstate="57P01"))
    raised = [error(future) for future in futures]

    assert [type(each) for each in raised] == [Unavailable] * 3
    assert {getattr(each, "reason", None) for each in raised} == {"db_unreachable"}
    assert {getattr(each, "sqlstate", None) for each in raised} == {"57P01"}
    assert len({id(each) for each in raised}) == 3
    assert not statements.has_begun_another


def test_failure_of_the_database_while_isolating_ends_the_search(
    submit: Submit, statements: Statements
) -> None:
    statement, futures = group_under_way(submit, statements, 4)

    statement.fail(RowRefused("does not fit"))
    statements.next().fail(Unavailable("gone"))

    assert [type(error(future)) for future in futures] == [Unavailable] * 4
    assert not statements.has_begun_another


def test_write_after_a_failed_one_is_tried_again(submit: Submit, statements: Statements) -> None:
    failed = submit(an_audit_event())
    statements.next().fail(Unavailable("gone"))
    assert isinstance(error(failed), Unavailable)

    written = submit(an_audit_event())
    statements.next().succeed()

    assert result(written) is Written.CREATED


def test_unexpected_exception_wakes_everybody(submit: Submit, statements: Statements) -> None:
    statement, (leader, *others) = group_under_way(submit, statements, 3)

    statement.fail(ZeroDivisionError())

    assert isinstance(error(leader), ZeroDivisionError)
    assert [type(error(future)) for future in others] == [Unavailable] * 2


def test_unexpected_exception_while_isolating_wakes_everybody(submit: Submit, statements: Statements) -> None:
    statement, (leader, *others) = group_under_way(submit, statements, 4)

    statement.fail(RowRefused("does not fit"))
    statements.next().fail(ZeroDivisionError())

    assert isinstance(error(leader), ZeroDivisionError)
    assert [type(error(future)) for future in others] == [Unavailable] * 3
    assert not statements.has_begun_another


def test_answer_for_too_few_events_wakes_everybody(submit: Submit, statements: Statements) -> None:
    statement, (leader, other) = group_under_way(submit, statements, 2)

    statement.succeed(Written.CREATED)

    assert isinstance(error(leader), ValueError)
    assert isinstance(error(other), Unavailable)


def test_event_that_arrives_during_a_failing_write_leads_the_next_one(
    submit: Submit, statements: Statements
) -> None:
    statement, _ = group_under_way(submit, statements, 2)

    written = submit(an_audit_event())
    statement.fail(ZeroDivisionError())
    statements.next().succeed()

    assert result(written) is Written.CREATED


def test_event_that_waited_too_long_is_not_written_later(
    statements: Statements, threads: ThreadPoolExecutor
) -> None:
    writer = GroupWriter(statements, max_wait_seconds=0.05)
    submit = submitter(writer, threads)
    patient = submit(an_audit_event())
    statement = statements.next()

    impatient = threads.submit(writer.write, an_audit_event())
    raised = error(impatient)
    statement.succeed()

    assert isinstance(raised, Unavailable)
    assert raised.reason == "timeout"
    assert result(patient) is Written.CREATED
    eventually(lambda: not writer._queues)
    assert not statements.has_begun_another


@pytest.mark.parametrize("leads", [False, True], ids=["in a group", "called to lead"])
def test_event_whose_turn_has_come_is_not_given_up(
    statements: Statements, threads: ThreadPoolExecutor, *, leads: bool
) -> None:
    writer = GroupWriter(statements, max_wait_seconds=0)
    ticket = _Ticket(an_audit_event(), leads=leads)
    queue = _Queue(waiting=[ticket] if leads else [], is_led=True)

    waiting = threads.submit(writer._wait, queue, ticket)
    ticket.woken.set()
    waiting.result(timeout=PATIENCE_SECONDS)

    assert ticket.error is None
    assert queue.waiting == ([ticket] if leads else [])


def test_every_event_of_a_crowd_is_written_once(threads: ThreadPoolExecutor) -> None:
    appended: Queue[AuditEvent] = Queue()

    def append(group: Sequence[AuditEvent]) -> list[Written]:
        for event in group:
            appended.put(event)
        return [Written.CREATED] * len(group)

    writer = GroupWriter(append, max_rows=3, max_wait_seconds=PATIENCE_SECONDS)
    events = [an_audit_event(has_client_id=number % 2 == 0) for number in range(2000)]

    outcomes = list(threads.map(writer.write, events))

    assert outcomes == [Written.CREATED] * len(events)
    assert sorted(event.event_id for event in appended.queue) == sorted(event.event_id for event in events)
    assert not writer._queues
