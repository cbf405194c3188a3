"""The retry loop: one per pod, whichever worker process holds the lock file.

When the holder dies, even by SIGKILL, the kernel frees the lock and another process takes over. An
outage of the database, however long, costs no entry an attempt: nothing is touched while the database
does not answer.

A process that dies takes a batch of entries with it, and most of them are innocent. So only the one
entry it was working on is counted, in Redis, and from then on tried after all others.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from operator import attrgetter
from threading import Event, Thread

import redis

from datastorage.dlq.entry import Stream
from datastorage.dlq.gauges import LevelGauges
from datastorage.dlq.keys import Delivery
from datastorage.dlq.replay import Replayer, Step
from datastorage.dlq.stream import RedisQueue
from datastorage.dlq.traversal import Traversal
from datastorage.platform.clock import Clock, monotonic_seconds
from datastorage.platform.pod_lock import PodLock
from datastorage.settings import RedisSettings

logger = logging.getLogger(__name__)

CANDIDATE_INTERVAL_SECONDS = 5.0
REFRESH_INTERVAL_SECONDS = 15.0
PAUSED_LOG_INTERVAL_SECONDS = 300.0
PROMOTE_COUNT = 1000
CONSUMER_GONE_AFTER = timedelta(hours=1)
"""A living consumer reads every ``dlq_poll_interval``; one that is removed too early is created again."""


class RetryWorker:
    """Candidate for the loop, and the loop itself; ``run_cycle`` is one round without waiting.

    Args:
        queue: the atomic steps in Redis.
        replayer: processes one entry.
        gauges: levels of both queues.
        settings: intervals and counts.
        clock: the server's now.
        lock: decides which process runs the loop.
    """

    def __init__(  # noqa: PLR0913 - the loop is where all of them meet
        self,
        queue: RedisQueue,
        replayer: Replayer,
        gauges: LevelGauges,
        *,
        settings: RedisSettings,
        clock: Clock,
        lock: PodLock,
    ) -> None:
        self._queue = queue
        self._replayer = replayer
        self._traversal = Traversal(
            queue=queue,
            streams=tuple(Stream),
            batch_size=settings.dlq_max_batch_size,
            claim_size=settings.dlq_claim_count,
            min_idle=settings.dlq_claim_min_idle,
        )
        self._settings = settings
        self._gauges = gauges
        self._clock = clock
        self._lock = lock
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="dlq-retry", daemon=True)
        self._held: list[Delivery] = []
        self._suspects: list[Delivery] = []
        self._is_fresh = True
        self._claimed_at = float("-inf")
        self._down_since: float | None = None
        self._down_logged_at = float("-inf")

    def start(self) -> None:
        """Become a candidate; after the fork, never before."""
        self._thread.start()

    def stop(self, timeout: timedelta) -> bool:
        """Finish the entry at hand and return whether that took less than ``timeout``."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout.total_seconds())
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._is_holder():
                self._log_start()
                try:
                    self._loop()
                finally:
                    self._lock.release()
                logger.info("DLQ retry worker stopped")
            else:
                self._stopping.wait(CANDIDATE_INTERVAL_SECONDS)

    def _is_holder(self) -> bool:
        try:
            return self._lock.try_hold()
        except OSError:
            logger.exception("DLQ retry lock cannot be opened")
            return False

    def _log_start(self) -> None:
        logger.info(
            "DLQ retry worker started",
            extra={
                "poll_interval": self._settings.dlq_poll_interval.total_seconds(),
                "max_batch_size": self._settings.dlq_max_batch_size,
                "read_timeout": self._settings.dlq_read_timeout.total_seconds(),
                "consumer_group": self._settings.dlq_consumer_group,
                "consumer_name": self._queue.consumer,
            },
        )

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                self.run_cycle()
            except (redis.RedisError, OSError) as error:
                # What was given to us while the connection broke is in our pending list only.
                self._is_fresh = True
                logger.warning("DLQ unreachable", extra={"cause": type(error).__name__})
            except Exception:
                # Delivered again, what did this has its deliveries counted, and is poison in the end.
                self._is_fresh = True
                self._held = []
                logger.exception("DLQ retry cycle failed")
            self._pause()

    def _pause(self) -> None:
        """Wait one poll interval, keeping the gauges fresh meanwhile."""
        deadline = monotonic_seconds() + self._settings.dlq_poll_interval.total_seconds()
        while not self._stopping.is_set() and (remaining := deadline - monotonic_seconds()) > 0:
            self._stopping.wait(min(remaining, REFRESH_INTERVAL_SECONDS))
            with suppress(redis.RedisError, OSError):  # the next cycle says so
                self._gauges.refresh_if_older_than(REFRESH_INTERVAL_SECONDS)

    def run_cycle(self) -> None:
        """Take everything that is due back to the database, or stop at its first sign of trouble.

        Raises:
            redis.RedisError: what is pending is delivered again.
        """
        if self._replayer.database_answers():
            self._work_off()
        else:
            self._note_outage()
        self._gauges.refresh()

    def _work_off(self) -> None:
        for deliveries in self._rounds():
            self._held = deliveries
            while self._held:
                if self._stopping.is_set():
                    return
                if self._process(self._held[0]) is Step.PAUSE:
                    self._note_outage()
                    return
                self._held.pop(0)
                self._gauges.refresh_if_older_than(REFRESH_INTERVAL_SECONDS)
        self._note_recovery()

    def _process(self, delivery: Delivery) -> Step:
        """Process one entry; one that was recovered leaves a trace in Redis, should we die of it."""
        if not delivery.earlier_deliveries:
            return self._replayer.process(delivery)
        self._queue.begin(delivery)
        step = self._replayer.process(delivery)
        if step is Step.PAUSE:
            self._queue.spare(delivery)
        return step

    def _rounds(self) -> Iterator[list[Delivery]]:
        """Yield what to process, in order: held back, own and abandoned, new, and at the end suspects."""
        if self._held:
            yield self._held
        if self._is_fresh:
            self._queue.create_groups()
            self._suspects = []
            yield from map(self._without_suspects, self._traversal.own())
            self._is_fresh = False
        yield from self._claimed()
        for stream in Stream:
            self._queue.promote(stream, self._clock(), PROMOTE_COUNT)
        yield from self._traversal.new()
        # One by one, after everybody else is safe, and the least suspected first.
        self._suspects.sort(key=attrgetter("earlier_deliveries"))
        while self._suspects:
            yield [self._suspects.pop(0)]
        yield from self._arriving()

    def _claimed(self) -> Iterator[list[Delivery]]:
        now = monotonic_seconds()
        if now - self._claimed_at < self._settings.dlq_claim_interval.total_seconds():
            return
        self._claimed_at = now
        yield from map(self._without_suspects, self._traversal.abandoned())
        self._queue.remove_idle_consumers(CONSUMER_GONE_AFTER)

    def _without_suspects(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Keep for the end what a process died of, give up what too many died of, return the others."""
        self._replayer.bury_poison(deliveries)
        kept = self._replayer.without_poison(deliveries)
        self._suspects += [delivery for delivery in kept if delivery.is_suspect]
        return [delivery for delivery in kept if not delivery.is_suspect]

    def _arriving(self) -> Iterator[list[Delivery]]:
        """Yield what arrives while we listen, in short turns: a stop must not wait for Redis."""
        deadline = monotonic_seconds() + self._settings.dlq_read_timeout.total_seconds()
        while not self._stopping.is_set() and (remaining := deadline - monotonic_seconds()) > 0:
            yield self._queue.await_new(self._settings.dlq_max_batch_size, remaining)

    def _note_outage(self) -> None:
        now = monotonic_seconds()
        if self._down_since is None:
            self._down_since = now
            self._down_logged_at = float("-inf")
        if now - self._down_logged_at < PAUSED_LOG_INTERVAL_SECONDS:
            return
        depths = {f"depth_{stream}": self._queue.levels(stream).depth for stream in Stream}
        self._down_logged_at = now
        logger.warning("DLQ paused, database unreachable", extra=depths)

    def _note_recovery(self) -> None:
        if self._down_since is not None:
            outage_seconds = round(monotonic_seconds() - self._down_since, 3)
            self._down_since = None
            logger.info("DLQ resumed", extra={"outage_seconds": outage_seconds})
