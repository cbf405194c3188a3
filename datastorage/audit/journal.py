"""Events the service writes about itself: in the background, through the same path as all others.

What is submitted waits in memory for a moment. The caller is never held up and never learns of a
failure: its own answer must not depend on it. An event that cannot be stored or queued now is tried
again; after minutes, or when the process ends, it is given up, and the log has its id.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from threading import Condition, Thread
from typing import NamedTuple, Protocol

from datastorage.audit.event import AuditEvent
from datastorage.errors import Conflict, DataStorageError, InvalidInput
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.failures import failure_of
from datastorage.platform.metrics import Metrics

logger = logging.getLogger(__name__)

BATCH_ROWS = 100
FLUSH_TIMEOUT = timedelta(seconds=3)
"""How long the end of the process waits for what is still in memory."""


class Recorder(Protocol):
    """Writes events, as ``AuditService`` does; raises ``DataStorageError`` when none is stored or queued."""

    def record(self, event: AuditEvent) -> object:
        """Write one event."""

    def record_batch(self, events: list[AuditEvent]) -> object:
        """Write all events or none."""


class _Entry(NamedTuple):
    event: AuditEvent
    submitted_seconds: float


class Journal:
    """A bounded queue and the thread that empties it.

    Args:
        recorder: writes the events.
        metrics: counts those that are lost without an attempt to write them.
        on_lost: told of every event that is given up.
    """

    capacity = 2000
    """Events that may wait, each of some kilobytes; further ones are dropped."""
    dispensable_capacity = 1000
    """How many may wait when one comes that is dispensable: a flood of those must leave room for others."""
    gathering_seconds = 0.05
    """How long an event waits for others; a transaction of ten costs about as much as one alone."""
    retry_pause_seconds = 1.0
    retry_budget_seconds = 300.0
    """How long an event is tried again, from when it was submitted."""

    def __init__(
        self,
        recorder: Recorder,
        metrics: Metrics,
        on_lost: Callable[[AuditEvent], object] = lambda _: None,
    ) -> None:
        self._recorder = recorder
        self._metrics = metrics
        self._on_lost = on_lost
        self._changed = Condition()
        self._waiting: deque[_Entry] = deque()
        self._in_hand: list[_Entry] = []
        self._is_closing = False
        self._thread = Thread(target=self._run, name="audit-journal", daemon=True)

    def submit(self, event: AuditEvent, *, is_dispensable: bool = False) -> bool:
        """Take over an event, or drop it when the journal is full; returns at once and raises nothing.

        Args:
            event: what to write.
            is_dispensable: whether it is one of many that must not take the room of the others.

        Returns:
            whether the journal has it.
        """
        capacity = self.dispensable_capacity if is_dispensable else self.capacity
        with self._changed:
            has_room = len(self._waiting) < capacity and not self._is_closing
            if has_room:
                self._waiting.append(_Entry(event, monotonic_seconds()))
                if len(self._waiting) in {1, BATCH_ROWS}:  # the thread need not wake for every event
                    self._changed.notify()
        if not has_room:
            self._lose_untried([event])
        return has_room

    def start(self) -> None:
        """Start the thread; after the fork, never before."""
        self._thread.start()

    def close(self, timeout: timedelta = FLUSH_TIMEOUT) -> None:
        """Write what waits, with one attempt each, and end; what is left after ``timeout`` is logged."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout.total_seconds())
        with self._changed:
            left = [*self._in_hand, *self._waiting]
            self._waiting.clear()
        self._lose_untried([entry.event for entry in left])

    def _run(self) -> None:
        while entries := self._take():
            failure = failure_of(partial(self._write, entries))
            if failure is not None:
                logger.error("Writing audit events failed", exc_info=failure)
                self._lose([entry.event for entry in entries])
            with self._changed:
                self._in_hand = []

    def _take(self) -> list[_Entry]:
        """Wait for events and take them, or nothing when the journal is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            self._changed.wait_for(self._has_gathered, self.gathering_seconds)
            count = min(len(self._waiting), BATCH_ROWS)
            self._in_hand = [self._waiting.popleft() for _ in range(count)]
            return self._in_hand

    def _has_gathered(self) -> bool:
        return self._is_closing or len(self._waiting) >= BATCH_ROWS

    def _write(self, entries: list[_Entry]) -> None:
        events = [entry.event for entry in entries]
        give_up_at = entries[0].submitted_seconds + self.retry_budget_seconds
        while True:
            try:
                self._record(events)
            except DataStorageError:
                if self._pause() or monotonic_seconds() >= give_up_at:
                    self._lose(events)
                    return
            else:
                return

    def _pause(self) -> bool:
        """Wait before the next attempt; return whether there will be none because the process ends."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_closing, self.retry_pause_seconds)

    def _record(self, events: list[AuditEvent]) -> None:
        """Write all events; what is wrong with one must not keep the others out.

        Raises:
            DataStorageError: they are not stored, and may be later.
        """
        try:
            if len(events) > 1:
                self._recorder.record_batch(events)
            else:
                self._recorder.record(events[0])
        except (InvalidInput, Conflict):
            if len(events) == 1:
                logger.exception("An audit event of our own was refused")
                self._lose(events)
                return
            for event in events:
                self._record([event])

    def _lose_untried(self, events: Sequence[AuditEvent]) -> None:
        for event in events:
            self._metrics.audit_traces.labels(event.event_category, "failure").inc()
        self._lose(events)

    def _lose(self, events: Sequence[AuditEvent]) -> None:
        """Log which events are stored nowhere: the audit trail lacks them."""
        for event in events:
            names = ("event_id", "event_type", "correlation_id")
            extra = {name: str(getattr(event, name)) for name in names}
            logger.error("Audit event lost", extra=extra)
            self._on_lost(event)
