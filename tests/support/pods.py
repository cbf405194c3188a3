"""One pod's end of the queue on a real Redis, with an archive in place of the database."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from datastorage.dlq.drain import Drain, DrainStatistics
from datastorage.dlq.durability import Durability
from datastorage.dlq.entry import Entry, EntryType, Stream, decode
from datastorage.dlq.gauges import LevelGauges
from datastorage.dlq.keys import KEYS
from datastorage.dlq.replay import Destination, Replayed, Replayer
from datastorage.dlq.service import DeadLetterQueue
from datastorage.dlq.stream import RedisQueue
from datastorage.dlq.worker import RetryWorker
from datastorage.errors import DatabaseError, PartitionFailure, Unavailable
from datastorage.platform.metrics import Metrics
from datastorage.platform.pod_lock import PodLock
from datastorage.settings import RedisSettings, Settings
from tests.support.builders import unique

EVENTS, NOTIFICATIONS = Stream.EVENTS, Stream.NOTIFICATIONS
UNREACHABLE = Unavailable("database unavailable - please retry", reason="db_unreachable")
NO_PARTITION = PartitionFailure(
    "database operation failed",
    reason="partition_missing",
    sqlstate="23514",
    server_message='no partition of relation "audit_events" found for row',
)


Outcome = Replayed | Exception | None
Outcomes = Iterator[Outcome]
Verdict = Callable[[dict[str, Any]], Outcome]


def connect(url: str, **options: Any) -> redis.Redis:
    """Return a client as the service makes them."""
    options = {"socket_connect_timeout": 1, "socket_timeout": 2} | options
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)


class HandClock:
    """Now, until a test says that time has passed."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **period: float) -> None:
        self.now += timedelta(**period)


class Archive:
    """Where records are written again; ``outcomes`` says what happens before they are stored."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.attempts: list[str] = []
        self.outcomes: Outcomes = iter(())
        self.verdict: Verdict = lambda _payload: None

    def always(self, outcome: Replayed | Exception) -> None:
        """From now on every attempt ends like this."""
        self.verdict = lambda _payload: outcome

    def heal(self) -> None:
        """From now on every attempt stores its record."""
        self.outcomes = iter(())
        self.verdict = lambda _payload: None

    def write(self, payload: dict[str, Any]) -> Replayed:
        """Store ``payload`` once, unless a test wants otherwise."""
        record_id = str(payload.get("event_id") or payload.get("notification_id"))
        self.attempts.append(record_id)
        outcome = next(self.outcomes, None) or self.verdict(payload)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is not None:
            return outcome
        is_known = self.rows.setdefault(record_id, payload) is not payload
        return Replayed.DUPLICATE if is_known else Replayed.STORED


class Pod:
    """Everything one pod has of the queue, on a clock of its own.

    Args:
        client: of a real Redis.
        name: of the consumer.
        clock: shared with other pods where a test has several.
        redis_settings: changes to the defaults.
    """

    def __init__(
        self, client: redis.Redis, name: str = "pod-a", clock: HandClock | None = None, **redis_settings: Any
    ) -> None:
        defaults = Settings.from_environ(
            {
                "DATASTORAGE_DATABASE_URL": "postgresql://app:x@127.0.0.1:1/none",
                "DATASTORAGE_REDIS_URL": "redis://127.0.0.1:1/0",
            }
        )
        self.client = client
        self.settings: RedisSettings = replace(
            defaults.redis, **({"dlq_read_timeout": timedelta(milliseconds=1)} | redis_settings)
        )
        self.metrics = Metrics()
        self.clock = clock or HandClock()
        self.archive = Archive()
        self.is_database_up = True
        self.queue = RedisQueue(
            client,
            group=self.settings.dlq_consumer_group,
            consumer=name,
            max_len=self.settings.dlq_max_len,
            dead_max_len=self.settings.dlq_dead_letter_max_len,
        )
        self.durability = Durability(client, self.settings, self.metrics)
        self.dlq = DeadLetterQueue(
            self.queue, self.durability, replace(defaults, redis=self.settings), self.metrics, self.clock
        )
        destination = Destination(dict.fromkeys(EntryType, self.archive.write), lambda: self.is_database_up)
        self.replayer = Replayer(self.queue, destination, self.settings, self.metrics, self.clock)

    def worker(self, lock: Path = Path("/nonexistent/lock")) -> RetryWorker:
        """Return a retry loop; its cycles can be run without the lock."""
        return RetryWorker(
            self.queue,
            self.replayer,
            LevelGauges(self.queue, self.dlq, self.durability, self.metrics, self.clock),
            settings=self.settings,
            clock=self.clock,
            lock=PodLock(lock),
        )

    def drain(self, timeout: timedelta = timedelta(seconds=10)) -> DrainStatistics:
        """Drain as at shutdown."""
        drain = Drain(
            self.queue, self.replayer, database_answers=lambda: self.is_database_up, metrics=self.metrics
        )
        return drain.run(timeout)

    def park_events(self, count: int = 1, fault: DatabaseError = UNREACHABLE, **fields: Any) -> list[str]:
        """Queue a batch of events and return their ids."""
        payloads = [{"event_id": unique("ev"), "correlation_id": "rr-7", **fields} for _ in range(count)]
        self.dlq.park(EntryType.AUDIT_EVENT, payloads, fault)
        return [payload["event_id"] for payload in payloads]

    def park_notification(self, fault: DatabaseError = UNREACHABLE, **fields: Any) -> str:
        """Queue one notification and return its id."""
        payload = {"notification_id": unique("ntf"), "remediation_id": "rr-7", **fields}
        self.dlq.park(EntryType.NOTIFICATION_AUDIT, [payload], fault)
        return str(payload["notification_id"])

    def put(self, message: bytes | None = None, stream: Stream = EVENTS, **fields: str) -> str:
        """Put a stream entry in the queue by hand and return its id."""
        content: dict[Any, Any] = fields if message is None else {"message": message}
        entry_id: Any = self.client.xadd(KEYS[stream].stream, content)
        return str(entry_id.decode())

    def depth(self, stream: Stream = EVENTS) -> int:
        """Return how many entries the stream has."""
        return self.queue.levels(stream).depth

    def pending(self, stream: Stream = EVENTS) -> int:
        """Return how many entries some consumer has in its hands."""
        return self.queue.levels(stream).pending

    def ids(self) -> set[str]:
        """Return the ids that parent look-ups would find queued."""
        members: Any = self.client.smembers("audit:dlq:events:ids")
        return {member.decode() for member in members}

    def entries(self, stream: Stream = EVENTS) -> list[Entry]:
        """Return what is in the stream."""
        found: Any = self.client.xrange(KEYS[stream].stream)
        return [decode(fields[b"message"]) for _id, fields in found]

    def parked(self, stream: Stream = EVENTS) -> list[tuple[Entry, datetime]]:
        """Return what is parked and when each is due."""
        found: Any = self.client.zrange(KEYS[stream].retry, 0, -1, withscores=True)
        return [
            (decode(message), datetime.fromtimestamp(float(score) / 1000, UTC)) for message, score in found
        ]

    def dead(self, stream: Stream = EVENTS) -> list[dict[str, str]]:
        """Return the fields of the dead letters."""
        found: Any = self.client.xrange(KEYS[stream].dead)
        return [{name.decode(): value.decode() for name, value in fields.items()} for _id, fields in found]

    def value(self, name: str, **labels: str) -> float:
        """Return one sample; the name goes without ``datastorage_``."""
        sample = self.metrics.registry.get_sample_value(f"datastorage_{name}", labels)
        assert sample is not None, f"no series {name} {labels}"
        return sample

    def flags(self, stream: Stream = EVENTS) -> dict[str, float]:
        """Return the four gauges that say how full the stream is."""
        names = ("warning", "critical", "near_full", "overflow_imminent")
        return {name: self.value(f"dlq_{name}", stream=stream) for name in names}


def make_idle(pod: Pod, seconds: int) -> None:
    """Let what ``pod`` holds look as if it had held it for that long."""
    key, group = KEYS[EVENTS].stream, pod.settings.dlq_consumer_group
    pending: Any = pod.client.xpending_range(key, group, "-", "+", 1000, pod.queue.consumer)
    for entry in pending:
        pod.client.xclaim(
            key,
            group,
            pod.queue.consumer,
            0,
            [entry["message_id"]],
            idle=seconds * 1000,
            retrycount=entry["times_delivered"],
            justid=True,
        )
