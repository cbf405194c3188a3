"""Group commit with statements in the hands of a test: they begin when they like and end when told."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Queue
from typing import Any

from datastorage.audit.event import AuditEvent
from datastorage.audit.model import Written
from datastorage.audit.writer import GroupWriter
from tests.support.builders import an_audit_event
from tests.support.waiting import eventually

PATIENCE_SECONDS = 10

Submit = Callable[[AuditEvent], Future[Written]]
Futures = list[Future[Written]]


@dataclass
class Statement:
    """One call of the append function; it lasts until the test ends it."""

    events: list[AuditEvent]
    end: Queue[list[Written] | Exception] = field(default_factory=Queue)

    def succeed(self, *outcomes: Written) -> None:
        """End with ``outcomes``, or with every event created."""
        self.end.put(list(outcomes) or [Written.CREATED] * len(self.events))

    def fail(self, error: Exception) -> None:
        """End with an exception."""
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
        """Wait until a statement begins, and return it."""
        return self._begun.get(timeout=PATIENCE_SECONDS)

    @property
    def has_begun_another(self) -> bool:
        """Whether a statement began that nobody asked for yet."""
        return not self._begun.empty()


def submitter(writer: GroupWriter, threads: ThreadPoolExecutor) -> Submit:
    """Return a function that writes an event in a thread, and returns when it is under way or waits."""

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
    """Return what the database did with the event."""
    return future.result(timeout=PATIENCE_SECONDS)


def error(future: Future[Written]) -> BaseException | None:
    """Return what the write raised."""
    return future.exception(timeout=PATIENCE_SECONDS)
