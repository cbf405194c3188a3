"""The queue in Redis: two streams, their retry sets and dead letters; one public method is one atomic step.

``XADD`` is never given ``MAXLEN`` and nothing calls ``XTRIM``: a trimmed stream would silently drop
the oldest records, which were acknowledged. A full queue refuses instead, and the client still has
the record. ``XACK`` and ``XDEL`` always go together: an acknowledged entry that stays would count in
the depth for ever, a deleted one that is not acknowledged would leave a phantom in the pending list.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import ceil, floor
from typing import Any, Final, cast

import redis
from redis.exceptions import ResponseError

from datastorage.dlq import scripts
from datastorage.dlq.durability import NotDurable
from datastorage.dlq.entry import Stream
from datastorage.dlq.keys import IDS_KEY, KEYS, Delivery, Levels

_LONGEST_BLOCK_SECONDS: Final = 0.25


class QueueFull(Exception):
    """The queue has no room for all of the entries; none was added."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.depth = depth


class DeadLettersFull(Exception):
    """The dead-letter stream has no room; nothing was moved."""


class RedisQueue:
    """The atomic steps.

    Args:
        client: bytes in, bytes out; fails within its timeouts.
        group: consumer group of all pods.
        consumer: this pod's name in it.
        max_len: admission limit of each stream, parked entries included.
        dead_max_len: bound of each dead-letter stream.
    """

    def __init__(
        self, client: redis.Redis, *, group: str, consumer: str, max_len: int, dead_max_len: int
    ) -> None:
        self._client = client
        self._group = group
        self._consumer = consumer
        self._max_len = max_len
        self._dead_max_len = dead_max_len
        seconds = client.get_connection_kwargs().get("socket_timeout")
        self._answer_seconds: float | None = seconds

    @property
    def consumer(self) -> str:
        """This pod's name in the consumer group."""
        return self._consumer

    def enqueue(
        self, stream: Stream, messages: Sequence[tuple[bytes, str]], aof_wait: timedelta | None = None
    ) -> int:
        """Append all ``(message, event id or empty)`` or none, and return the new depth.

        Args:
            stream: which queue.
            messages: encoded entries; ids go to the set that parent look-ups ask.
            aof_wait: how long to wait for the append-only file, ``None`` to trust its policy.

        Raises:
            QueueFull: there is no room for all of them.
            NotDurable: queued, but not confirmed durable.
            redis.RedisError: not queued, except after a timeout, whose outcome is unknown.
        """
        keys = KEYS[stream]
        arguments: list[bytes | str | int] = [self._max_len]
        for message, record_id in messages:
            arguments += [message, record_id]
        pipeline = self._client.pipeline(transaction=False)
        pipeline.eval(scripts.ENQUEUE, 3, keys.stream, keys.retry, IDS_KEY, *arguments)
        if aof_wait is not None:
            pipeline.execute_command("WAITAOF", 1, 0, self._milliseconds(aof_wait))  # type: ignore[no-untyped-call]
        accepted, *confirmed = pipeline.execute(raise_on_error=False)
        if isinstance(accepted, Exception):
            raise accepted
        is_queued, depth = accepted
        if not is_queued:
            raise QueueFull(depth)
        if any(isinstance(answer, Exception) or answer[0] < 1 for answer in confirmed):
            raise NotDurable
        return int(depth)

    def _milliseconds(self, wait: timedelta) -> int:
        """Return how long Redis may take over its answer: the socket must not give up before it does."""
        seconds = wait.total_seconds()
        if self._answer_seconds is not None:
            seconds = min(seconds, self._answer_seconds * 0.9)
        return max(1, round(seconds * 1000))

    def is_queued(self, event_ids: Sequence[str]) -> list[bool]:
        """Tell for each event id whether it is queued or parked."""
        if not event_ids:
            return []
        members = cast("list[int]", self._client.smismember(IDS_KEY, list(event_ids)))
        return [bool(member) for member in members]

    def create_groups(self) -> None:
        """Create the consumer group on both streams; existing ones stay as they are."""
        for keys in KEYS.values():
            self._client.eval(scripts.CREATE_GROUP, 1, keys.stream, self._group)

    def read_new(self, stream: Stream, count: int) -> list[Delivery]:
        """Take up to ``count`` entries that nobody has taken yet."""
        return self._read({stream: ">"}, count)

    def await_new(self, count: int, wait_seconds: float) -> list[Delivery]:
        """Take up to ``count`` new entries of each stream; wait for the first, a quarter of a second at most.

        A caller with more time asks again: in between it can see that it is to stop.
        """
        seconds = min(wait_seconds, _LONGEST_BLOCK_SECONDS, (self._answer_seconds or 1.0) / 2)
        return self._read(dict.fromkeys(Stream, ">"), count, block_ms=max(1, round(seconds * 1000)))

    def read_own(self, stream: Stream, count: int, after: str = "0") -> list[Delivery]:
        """Return again what this consumer was given after entry ``after`` and never finished."""
        arguments: list[Any] = [self._group, self._consumer, after, count]
        found: Any = self._client.eval(scripts.OWN, 1, KEYS[stream].stream, *arguments)
        return [_recovered(stream, *each) for each in found]

    def _read(self, starts: dict[Stream, str], count: int, block_ms: int | None = None) -> list[Delivery]:
        streams: dict[Any, Any] = {KEYS[stream].stream: start for stream, start in starts.items()}
        answer: Any = self._client.xreadgroup(
            self._group, self._consumer, streams, count=count, block=block_ms
        )
        # The two versions of the protocol nest the same answer differently.
        pairs = answer.items() if isinstance(answer, dict) else answer or []
        by_key = {KEYS[stream].stream.encode(): stream for stream in starts}
        return [
            delivery
            for key, entries in pairs
            for delivery in _deliveries(
                by_key[key], entries[0] if isinstance(answer, dict) and entries else entries
            )
        ]

    def claim(self, stream: Stream, *, min_idle: timedelta, count: int) -> list[Delivery]:
        """Take over entries whose consumer has not finished them for ``min_idle``."""
        cursor: Any = b"0-0"
        idle_ms = round(min_idle.total_seconds() * 1000)
        while True:
            # Redis looks at some entries per call only: those of living consumers may come first.
            arguments: list[Any] = [self._group, self._consumer, idle_ms, cursor, count]
            answer: Any = self._client.eval(scripts.CLAIM, 1, KEYS[stream].stream, *arguments)
            cursor, found = answer
            if found or cursor == b"0-0":
                return [_recovered(stream, *each) for each in found]

    def begin(self, delivery: Delivery) -> None:
        """Note that this entry is in work now: should we die of it, whoever comes next has to know."""
        self._set_delivery_counter(delivery, delivery.earlier_deliveries + 1)

    def spare(self, delivery: Delivery) -> None:
        """Take back what ``begin`` noted: we live, and it was not the entry that failed."""
        self._set_delivery_counter(delivery, delivery.earlier_deliveries)

    def _set_delivery_counter(self, delivery: Delivery, value: int) -> None:
        ids: Any = [delivery.id]
        self._client.xclaim(
            KEYS[delivery.stream].stream, self._group, self._consumer, 0, ids, retrycount=value, justid=True
        )

    def finish(self, delivery: Delivery, record_id: str) -> None:
        """Remove an entry whose row is committed."""
        key = KEYS[delivery.stream].stream
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.xack(key, self._group, delivery.id)
            pipeline.xdel(key, delivery.id)
            if record_id:
                pipeline.srem(IDS_KEY, record_id)
            pipeline.execute()

    def park(self, delivery: Delivery, message: bytes, due_at: datetime) -> bool:
        """Move an entry to the retry set, as ``message``, until ``due_at``; false when it is gone."""
        keys = KEYS[delivery.stream]
        arguments: list[Any] = [self._group, delivery.id, ceil(due_at.timestamp() * 1000), message]
        return bool(self._client.eval(scripts.PARK, 2, keys.stream, keys.retry, *arguments))

    def bury(self, delivery: Delivery, fields: dict[str, str | bytes], record_id: str) -> bool:
        """Move an entry to the dead letters; false when it is gone.

        Raises:
            DeadLettersFull: nothing changed.
        """
        keys = KEYS[delivery.stream]
        flat: list[Any] = [part for pair in fields.items() for part in pair]
        arguments = [self._dead_max_len, self._group, delivery.id, record_id, *flat]
        moved = self._client.eval(scripts.BURY, 3, keys.stream, keys.dead, IDS_KEY, *arguments)
        if moved == -1:
            raise DeadLettersFull
        return bool(moved)

    def promote(self, stream: Stream, now: datetime, count: int) -> int:
        """Move up to ``count`` parked entries that are due back into the stream; return how many."""
        keys = KEYS[stream]
        score = floor(now.timestamp() * 1000)
        return int(cast("int", self._client.eval(scripts.PROMOTE, 2, keys.retry, keys.stream, score, count)))

    def levels(self, stream: Stream) -> Levels:
        """Return the sizes of one queue."""
        keys = KEYS[stream]
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.xlen(keys.stream)
            pipeline.zcard(keys.retry)
            pipeline.xlen(keys.dead)
            depth, parked, dead = pipeline.execute()
        return Levels(depth, parked, self._pending(keys.stream), dead)

    def _pending(self, key: str) -> int:
        try:
            summary: Any = self._client.xpending(key, self._group)
        except ResponseError as error:
            if str(error).startswith("NOGROUP"):
                return 0  # nobody has read from this queue yet
            raise
        return int(summary["pending"])

    def oldest(self, stream: Stream) -> list[bytes]:
        """Return the messages among which the oldest one is to be looked for.

        The head of the stream, the parked entry that is due first and the one due last, which has failed
        most often. An exact answer would read every payload, every few seconds.
        """
        keys = KEYS[stream]
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.xrange(keys.stream, count=1)
            pipeline.zrange(keys.retry, 0, 0)
            pipeline.zrange(keys.retry, -1, -1)
            head, first, last = pipeline.execute()
        messages = [each.message for each in _deliveries(stream, head) if each.message]
        return [*messages, *first, *last]

    def leave(self) -> None:
        """Take this consumer out of the group, unless it still has entries in its hands."""
        self._remove_consumers(self._consumer, timedelta(days=365))

    def remove_idle_consumers(self, min_idle: timedelta) -> None:
        """Take consumers out of the group that have asked for nothing for so long and hold nothing."""
        self._remove_consumers("", min_idle)

    def _remove_consumers(self, name: str, min_idle: timedelta) -> None:
        for keys in KEYS.values():
            arguments: list[Any] = [self._group, name, round(min_idle.total_seconds() * 1000)]
            self._client.eval(scripts.REMOVE_CONSUMERS, 1, keys.stream, *arguments)


def _deliveries(stream: Stream, entries: Any) -> Iterator[Delivery]:
    for entry_id, fields in entries:
        if entry_id is not None:  # Redis 6.2 claims deleted entries, and returns nothing for them
            yield Delivery(stream, entry_id.decode(), fields or {})


def _recovered(stream: Stream, entry_id: bytes, flat: list[bytes], counter: int) -> Delivery:
    return Delivery(stream, entry_id.decode(), dict(zip(flat[::2], flat[1::2], strict=True)), int(counter))
