"""The levels of both queues, shown as they are now: an alert has to end when the queue is empty again."""

from contextlib import suppress
from datetime import datetime

from datastorage.dlq.durability import Durability
from datastorage.dlq.entry import Stream, Unreadable, decode
from datastorage.dlq.service import DeadLetterQueue
from datastorage.dlq.stream import RedisQueue
from datastorage.platform.clock import Clock, monotonic_seconds
from datastorage.platform.metrics import Metrics


class LevelGauges:
    """Reads Redis and sets the gauges.

    Args:
        queue: what is measured.
        dlq: shows the depth and what follows from it.
        durability: says every hour when the queue is not durable.
        metrics: the other gauges.
        clock: the server's now, for ages.
    """

    def __init__(
        self,
        queue: RedisQueue,
        dlq: DeadLetterQueue,
        durability: Durability,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._dlq = dlq
        self._durability = durability
        self._metrics = metrics
        self._clock = clock
        self._refreshed_at = float("-inf")

    def refresh(self) -> None:
        """Set the gauges of both queues.

        Raises:
            redis.RedisError: they could not be read.
        """
        self._refreshed_at = monotonic_seconds()
        self._durability.is_durable()
        for stream in Stream:
            levels = self._queue.levels(stream)
            self._dlq.show_depth(stream, levels.depth)
            self._metrics.dlq_parked.labels(stream).set(levels.parked)
            self._metrics.dlq_pending.labels(stream).set(levels.pending)
            self._metrics.dead_letter_depth.labels(stream).set(levels.dead)
            age_seconds = oldest_age_seconds(self._queue, stream, self._clock())
            self._metrics.dlq_oldest_entry_age_seconds.labels(stream).set(age_seconds)

    def refresh_if_older_than(self, seconds: float) -> None:
        """Set the gauges unless that was done within ``seconds``.

        Raises:
            redis.RedisError: they could not be read.
        """
        if monotonic_seconds() - self._refreshed_at >= seconds:
            self.refresh()


def oldest_age_seconds(queue: RedisQueue, stream: Stream, now: datetime) -> float:
    """Return how long the oldest entry has been queued, 0 when there is none.

    Raises:
        redis.RedisError: it could not be read.
    """
    ages = [0.0]
    for message in queue.oldest(stream):
        with suppress(Unreadable):
            ages.append((now - decode(message).first_enqueued_at).total_seconds())
    return max(ages)
