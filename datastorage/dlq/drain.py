"""The last chance of a process that is about to end: bring back what can be brought back in time (DD-008).

Whatever is not drained stays in Redis, for the other pods or the next start. A drain never decides
how the process ends.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import chain
from typing import Final

import redis

from datastorage.dlq.entry import Stream, Unreadable, decode
from datastorage.dlq.keys import Delivery
from datastorage.dlq.replay import AUDIT_TYPE, Replayer, Step
from datastorage.dlq.stream import RedisQueue
from datastorage.dlq.traversal import Traversal
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics import Metrics

logger = logging.getLogger(__name__)

BATCH_SIZE: Final = 100
ABANDONED_AFTER: Final = timedelta(seconds=60)
BOTH: Final = (Stream.NOTIFICATIONS, Stream.EVENTS)


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
        self._failed: list[Delivery] = []
        self._statistics = DrainStatistics()
        self._deadline = 0.0

    def run(self, timeout: timedelta, streams: Sequence[Stream] = BOTH) -> DrainStatistics:
        """Drain for at most ``timeout`` and return what came of it; Redis errors are counted, not raised."""
        started = monotonic_seconds()
        self._deadline = started + timeout.total_seconds()
        logger.info("Starting DLQ drain for graceful shutdown", extra={"timeout": timeout.total_seconds()})
        try:
            if not self._database_answers():
                self._end()
                logger.info("DLQ drain skipped", extra={"reason": "database unreachable", **self._depths()})
                return self._statistics
            self._drain(streams)
            self._end()
        except (redis.RedisError, OSError) as error:
            self._error(None, type(error).__name__)
        self._finish(monotonic_seconds() - started)
        return self._statistics

    def _drain(self, streams: Sequence[Stream]) -> None:
        self._queue.create_groups()
        way = Traversal(
            queue=self._queue,
            streams=streams,
            batch_size=BATCH_SIZE,
            claim_size=BATCH_SIZE,
            min_idle=ABANDONED_AFTER,
        )
        batches = chain(way.own(), way.new(), way.abandoned())
        # What consumers died of is left to the retry loop of another pod, which gives it up.
        harmless = chain.from_iterable(map(self._replayer.without_poison, batches))
        is_going_on = all(map(self._process, harmless))
        if is_going_on:
            again, self._failed = self._failed, []
            all(map(self._process, again))
        for delivery in self._failed:
            self._error(delivery, "entry failure")

    def _process(self, delivery: Delivery) -> bool:
        """Process one entry and return whether to go on."""
        if monotonic_seconds() >= self._deadline:
            self._statistics.timed_out = True
            return False
        step = self._replayer.drain(delivery)
        if step is Step.PAUSE:
            self._error(delivery, "infrastructure failure")
            return False
        if step is Step.STORED:
            self._count(delivery)
        else:
            self._failed.append(delivery)
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
            "correlation_id": _correlation_id(delivery) if delivery else "",
            "cause": cause,
        }
        logger.error("Error during DLQ drain processing", extra=extra)

    def _end(self) -> None:
        self._queue.leave()
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


def _correlation_id(delivery: Delivery) -> str:
    try:
        return decode(delivery.message).correlation_id
    except Unreadable:
        return ""
