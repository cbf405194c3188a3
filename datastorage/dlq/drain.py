"""The last chance of a process that is about to end: bring back what can be brought back in time (DD-008).

Whatever is not drained stays in Redis, for the other pods or the next start. A drain never decides
how the process ends.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

import redis

from datastorage.dlq.entry import Stream
from datastorage.dlq.replay import AUDIT_TYPE, Replayer, Step
from datastorage.dlq.stream import Delivery, RedisQueue
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics import Metrics

logger = logging.getLogger(__name__)

BATCH_SIZE: Final = 100
ABANDONED_AFTER: Final = timedelta(seconds=60)
_ORDER: Final = (Stream.NOTIFICATIONS, Stream.EVENTS)


@dataclass(slots=True)
class DrainStatistics:
    """What a drain did; the fields of its log line."""

    notifications_processed: int = 0
    events_processed: int = 0
    total_processed: int = 0
    remaining_notifications: int = 0
    remaining_events: int = 0
    duration: float = 0.0
    timed_out: bool = False
    errors: int = 0


class Drain:
    """One drain, with a deadline that is checked before each entry.

    Args:
        queue: the atomic steps in Redis; the same group and consumer as the retry loop.
        replayer: processes one entry.
        database_answers: pings the database.
        metrics: counts of the drain.
        progress: called after each finished entry.
    """

    def __init__(
        self,
        queue: RedisQueue,
        replayer: Replayer,
        *,
        database_answers: Callable[[], bool],
        metrics: Metrics,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._queue = queue
        self._replayer = replayer
        self._database_answers = database_answers
        self._metrics = metrics
        self._progress = progress
        self._second_pass: list[Delivery] = []
        self._statistics = DrainStatistics()
        self._deadline = 0.0

    def run(self, timeout: timedelta) -> DrainStatistics:
        """Drain for at most ``timeout`` and return what came of it; Redis errors are counted, not raised."""
        started = monotonic_seconds()
        self._deadline = started + timeout.total_seconds()
        logger.info("Starting DLQ drain for graceful shutdown", extra={"timeout": timeout.total_seconds()})
        try:
            if not self._database_answers():
                self._count_remaining()
                logger.info("DLQ drain skipped", extra={"reason": "database unreachable", **self._depths()})
                return self._statistics
            self._drain()
            self._count_remaining()
        except (redis.RedisError, OSError) as error:
            self._error(None, type(error).__name__)
        self._finish(monotonic_seconds() - started)
        return self._statistics

    def _drain(self) -> None:
        self._queue.create_groups()
        for deliveries in self._rounds():
            for delivery in deliveries:
                if not self._process(delivery, is_second_try=False):
                    return
        for delivery in self._second_pass:
            if not self._process(delivery, is_second_try=True):
                return

    def _rounds(self) -> Iterator[list[Delivery]]:
        """Yield own, new and abandoned entries, the two streams taking turns."""
        after = dict.fromkeys(_ORDER, "0")
        waiting = list(_ORDER)
        while waiting:
            for stream in list(waiting):
                deliveries = self._queue.read_own(stream, BATCH_SIZE, after[stream])
                if deliveries:
                    after[stream] = deliveries[-1].id
                else:
                    deliveries = self._queue.read_new(stream, BATCH_SIZE)
                    # What is new becomes our own at once: do not read it a second time.
                    after[stream] = deliveries[-1].id if deliveries else after[stream]
                if not deliveries:
                    deliveries = self._queue.claim(stream, min_idle=ABANDONED_AFTER, count=BATCH_SIZE)
                    waiting.remove(stream)
                yield deliveries

    def _process(self, delivery: Delivery, *, is_second_try: bool) -> bool:
        """Process one entry and return whether to go on."""
        if monotonic_seconds() >= self._deadline:
            self._statistics.timed_out = True
            return False
        step = self._replayer.process(delivery, ignore_backoff=True)
        if step is Step.PAUSE:
            self._error(delivery, "infrastructure failure")
            return False
        if step is Step.FAILED:
            if is_second_try:
                self._error(delivery, "entry failure")
            else:
                self._second_pass.append(delivery)
            return True
        self._count(delivery)
        return True

    def _count(self, delivery: Delivery) -> None:
        self._statistics.total_processed += 1
        if delivery.stream is Stream.EVENTS:
            self._statistics.events_processed += 1
        else:
            self._statistics.notifications_processed += 1
        self._metrics.dlq_drain_messages_processed.labels(delivery.stream).inc()
        self._progress()

    def _error(self, delivery: Delivery | None, cause: str) -> None:
        self._statistics.errors += 1
        self._metrics.dlq_drain_errors.inc()
        extra = {
            "error_index": self._statistics.errors,
            "audit_type": AUDIT_TYPE[delivery.stream] if delivery else "",
            "message_id": delivery.id if delivery else "",
            "cause": cause,
        }
        logger.error("Error during DLQ drain processing", extra=extra)

    def _count_remaining(self) -> None:
        self._statistics.remaining_events = self._queue.levels(Stream.EVENTS).depth
        self._statistics.remaining_notifications = self._queue.levels(Stream.NOTIFICATIONS).depth

    def _depths(self) -> dict[str, int]:
        return {
            "depth_events": self._statistics.remaining_events,
            "depth_notifications": self._statistics.remaining_notifications,
        }

    def _finish(self, duration_seconds: float) -> None:
        self._statistics.duration = round(duration_seconds, 3)
        self._metrics.dlq_drain_duration_seconds.observe(duration_seconds)
        if self._statistics.timed_out:
            self._metrics.dlq_drain_timeout.inc()
        logger.info("DLQ drain complete", extra=asdict(self._statistics))
