from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from queue import Queue
from typing import Any
from uuid import uuid4

import pytest

from datastorage.audit.event import AuditEvent
from datastorage.audit.model import Written
from datastorage.audit.writer import LARGE_BYTES, GroupWriter, _Queue, _Ticket
from tests.support.builders import an_audit_event
from tests.support.group_writes import (
    PATIENCE_SECONDS,
    Statements,
    Submit,
    result,
    submitter,
)
from tests.support.waiting import eventually

LARGE = f'{{"x":"{"y" * LARGE_BYTES}"}}'
FEBRUARY = datetime(2026, 2, 14, 12, tzinfo=UTC)


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


def test_bytes_of_a_group_are_bounded(statements: Statements, threads: ThreadPoolExecutor) -> None:
    writer = GroupWriter(statements, max_bytes=10, max_wait_seconds=PATIENCE_SECONDS)
    submit = submitter(writer, threads)
    sizes = (4, 6, 1, 11, 2)
    events = [an_audit_event(event_data="x" * size) for size in sizes]
    submit(an_audit_event())
    first = statements.next()

    written = [submit(event) for event in events]
    first.succeed()
    groups = []
    for _ in range(4):
        statement = statements.next()
        groups.append([len(event.event_data) for event in statement.events])
        statement.succeed()

    assert groups == [[4, 6], [1], [11], [2]]
    assert [result(each) for each in written] == [Written.CREATED] * len(sizes)


@pytest.mark.parametrize(
    "apart",
    [
        {"event_timestamp": FEBRUARY},
        {"parent_event_id": uuid4()},
        {"has_client_id": True},
        {"event_data": LARGE},
        {"event_metadata": LARGE},
        {"error_message": "\U0001f525" * (LARGE_BYTES // 4)},
    ],
    ids=[
        "another month",
        "with a parent",
        "with an id of the client",
        "large",
        "with large metadata",
        "with a message of many bytes",
    ],
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


@pytest.mark.parametrize("leads", [False, True], ids=["in a group", "called to lead"])
def test_event_whose_turn_has_come_is_not_given_up(
    statements: Statements, threads: ThreadPoolExecutor, *, leads: bool
) -> None:
    writer = GroupWriter(statements, max_wait_seconds=0)
    ticket = _Ticket(an_audit_event())
    ticket.leads, untouched = leads, ticket.result
    queue = _Queue(waiting=[ticket] if leads else [], is_led=True)

    waiting = threads.submit(writer._wait, queue, ticket)
    ticket.wake()
    waiting.result(timeout=PATIENCE_SECONDS)

    assert ticket.result is untouched
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
