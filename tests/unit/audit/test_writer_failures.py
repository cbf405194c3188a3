from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from datastorage.audit.event import AuditEvent
from datastorage.audit.model import Written
from datastorage.audit.writer import GroupWriter
from datastorage.errors import RowRefused, Unavailable
from tests.support.builders import an_audit_event
from tests.support.group_writes import (
    PATIENCE_SECONDS,
    Statements,
    Submit,
    error,
    group_under_way,
    result,
    submitter,
)
from tests.support.waiting import eventually


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
