"""The retry loop: one per pod, whichever worker process holds the lock file.

When the holder dies, even by SIGKILL, the kernel frees the lock and another process takes over. An
outage of the database, however long, costs no entry an attempt: nothing is touched while the database
does not answer.
"""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import redis

from datastorage.dlq.entry import Stream, Unreadable, decode
from datastorage.dlq.replay import Replayer, Step
from datastorage.dlq.service import DeadLetterQueue
from datastorage.dlq.stream import Delivery, RedisQueue
from datastorage.platform.clock import Clock, monotonic_seconds
from datastorage.platform.metrics import Metrics
from datastorage.settings import RedisSettings

logger = logging.getLogger(__name__)

CANDIDATE_INTERVAL_SECONDS = 5.0
REFRESH_INTERVAL_SECONDS = 15.0
PAUSED_LOG_INTERVAL_SECONDS = 300.0
PROMOTE_COUNT = 1000


class RetryLock:
    """An exclusive lock on a file of the runtime directory, freed by the kernel with its holder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def try_hold(self) -> bool:
        """Return whether this process holds the lock now."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let another process have it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class RetryWorker:
    """Candidate for the loop, and the loop itself; ``run_cycle`` is one round without waiting.

    Args:
        queue: the atomic steps in Redis.
        replayer: processes one entry.
        dlq: shows the levels.
        database_answers: pings the database on a connection of its own within two seconds.
        settings: intervals and counts.
        metrics: levels of both queues.
        clock: the server's now.
        lock: decides which process runs the loop.
    """

    def __init__(  # noqa: PLR0913 - the loop is where all of them meet
        self,
        queue: RedisQueue,
        replayer: Replayer,
        dlq: DeadLetterQueue,
        *,
        database_answers: Callable[[], bool],
        settings: RedisSettings,
        metrics: Metrics,
        clock: Clock,
        lock: RetryLock,
    ) -> None:
        self._queue = queue
        self._replayer = replayer
        self._dlq = dlq
        self._database_answers = database_answers
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._lock = lock
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="dlq-retry", daemon=True)
        self._held: list[Delivery] = []
        self._is_fresh = True
        self._claimed_at = 0.0
        self._refreshed_at = 0.0
        self._down_since: float | None = None
        self._down_logged_at = 0.0

    def start(self) -> None:
        """Become a candidate; after the fork, never before."""
        self._thread.start()

    def stop(self, timeout: timedelta) -> bool:
        """Finish the entry at hand and return whether that took less than ``timeout``."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout.total_seconds())
        self._lock.release()
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._lock.try_hold():
                self._stopping.wait(CANDIDATE_INTERVAL_SECONDS)
                continue
            self._log_start()
            self._loop()
        logger.info("DLQ retry worker stopped")

    def _log_start(self) -> None:
        logger.info(
            "DLQ retry worker started",
            extra={
                "poll_interval": self._settings.dlq_poll_interval.total_seconds(),
                "max_batch_size": self._settings.dlq_max_batch_size,
                "read_timeout": self._settings.dlq_read_timeout.total_seconds(),
                "consumer_group": self._settings.dlq_consumer_group,
            },
        )

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                self.run_cycle()
            except (redis.RedisError, OSError) as error:
                # Redis is the fallback, not the main path: say so and ask again.
                self._is_fresh = True
                self._held.clear()
                logger.warning("DLQ unreachable", extra={"cause": type(error).__name__})
            except Exception:
                logger.exception("DLQ retry cycle failed")
            self._pause()

    def _pause(self) -> None:
        """Wait one poll interval, keeping the gauges fresh meanwhile."""
        deadline = monotonic_seconds() + self._settings.dlq_poll_interval.total_seconds()
        while not self._stopping.is_set():
            remaining = deadline - monotonic_seconds()
            if remaining <= 0:
                return
            self._stopping.wait(min(remaining, REFRESH_INTERVAL_SECONDS))
            if monotonic_seconds() - self._refreshed_at >= REFRESH_INTERVAL_SECONDS:
                try:
                    self.refresh_gauges()
                except (redis.RedisError, OSError):
                    self._metrics.redis_up.set(0)

    def run_cycle(self) -> None:
        """Take everything that is due back to the database, or stop at its first sign of trouble.

        Raises:
            redis.RedisError: what is pending is delivered again.
        """
        if not self._database_answers():
            self._note_outage()
            self.refresh_gauges()
            return
        self._note_recovery()
        for deliveries in self._rounds():
            self._held = deliveries
            while self._held:
                if self._stopping.is_set():
                    return
                if self._replayer.process(self._held[0]) is Step.PAUSE:
                    return
                self._held.pop(0)
        self.refresh_gauges()

    def _rounds(self) -> Iterator[list[Delivery]]:
        """Yield what to process, in order: held back, own and abandoned, then new until none is left."""
        if self._held:
            # Not read from Redis again: that would raise their delivery counters for no fault of theirs.
            yield self._held
        if self._is_fresh:
            self._queue.create_groups()
            for stream in Stream:
                yield from self._own(stream)
            self._is_fresh = False
        yield from self._claimed()
        count = self._settings.dlq_max_batch_size
        for stream in Stream:
            self._queue.promote(stream, self._clock(), PROMOTE_COUNT)
            while deliveries := self._queue.read_new(stream, count):
                yield deliveries

    def _own(self, stream: Stream) -> Iterator[list[Delivery]]:
        after = "0"
        while deliveries := self._queue.read_own(stream, self._settings.dlq_max_batch_size, after):
            after = deliveries[-1].id
            yield self._without_poison(stream, deliveries)

    def _claimed(self) -> Iterator[list[Delivery]]:
        now = monotonic_seconds()
        if now - self._claimed_at < self._settings.dlq_claim_interval.total_seconds() and self._claimed_at:
            return
        self._claimed_at = now
        for stream in Stream:
            deliveries = self._queue.claim(
                stream, min_idle=self._settings.dlq_claim_min_idle, count=self._settings.dlq_claim_count
            )
            yield self._without_poison(stream, deliveries)

    def _without_poison(self, stream: Stream, deliveries: list[Delivery]) -> list[Delivery]:
        """Bury entries on which that many consumers died already."""
        if not deliveries:
            return []
        counts = self._queue.delivery_counts(stream, PROMOTE_COUNT)
        healthy = []
        for delivery in deliveries:
            if counts.get(delivery.id, 1) > self._settings.dlq_max_deliveries:
                self._bury_poison(delivery)
            else:
                healthy.append(delivery)
        return healthy

    def _bury_poison(self, delivery: Delivery) -> None:
        try:
            entry = decode(delivery.message)
        except Unreadable:
            entry = None
        self._replayer.bury(delivery, entry, "max_deliveries" if entry else "unparseable")

    def refresh_gauges(self) -> None:
        """Show the levels of both queues as they are now.

        Raises:
            redis.RedisError: they could not be read.
        """
        self._refreshed_at = monotonic_seconds()
        for stream in Stream:
            levels = self._queue.levels(stream)
            self._dlq.show_depth(stream, levels.depth)
            self._metrics.dlq_parked.labels(stream).set(levels.parked)
            self._metrics.dlq_pending.labels(stream).set(levels.pending)
            self._metrics.dead_letter_depth.labels(stream).set(levels.dead)
            self._metrics.dlq_oldest_entry_age_seconds.labels(stream).set(self._oldest_age_seconds(stream))

    def _oldest_age_seconds(self, stream: Stream) -> float:
        messages = [delivery.message for delivery in self._queue.scan(stream, count=1)]
        messages += self._queue.parked(stream, 1)
        ages = []
        for message in messages:
            try:
                first_enqueued_at = decode(message).first_enqueued_at
            except Unreadable:
                continue
            ages.append((self._clock() - first_enqueued_at).total_seconds())
        return max(ages, default=0.0)

    def _note_outage(self) -> None:
        now = monotonic_seconds()
        if self._down_since is None:
            self._down_since = now
        elif now - self._down_logged_at < PAUSED_LOG_INTERVAL_SECONDS:
            return
        self._down_logged_at = now
        depths = {f"depth_{stream}": self._queue.levels(stream).depth for stream in Stream}
        logger.warning("DLQ paused, database unreachable", extra=depths)

    def _note_recovery(self) -> None:
        if self._down_since is not None:
            outage_seconds = round(monotonic_seconds() - self._down_since, 3)
            self._down_since = None
            logger.info("DLQ resumed", extra={"outage_seconds": outage_seconds})
