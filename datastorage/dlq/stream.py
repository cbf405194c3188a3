"""The queue in Redis: two streams, their retry sets and dead letters; one public method is one atomic step.

``XADD`` is never given ``MAXLEN`` and nothing calls ``XTRIM``: a trimmed stream would silently drop
the oldest records, which were acknowledged. A full queue refuses instead, and the client still has
the record. ``XACK`` and ``XDEL`` always go together: an acknowledged entry that stays would count in
the depth for ever, a deleted one that is not acknowledged would leave a phantom in the pending list.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import redis
from redis.exceptions import ResponseError

from datastorage.dlq.entry import Entry, Stream

FIELD = b"message"
IDS_KEY = "audit:dlq:events:ids"

# Check and append in one step, so that workers and pods at the same time cannot overshoot, and a batch
# is queued completely or not at all. Parked entries count: they come back into the stream.
_ENQUEUE = """
local depth = redis.call('XLEN', KEYS[1])
local parked = redis.call('ZCARD', KEYS[2])
local count = (#ARGV - 1) / 2
if depth + parked + count > tonumber(ARGV[1]) then return {0, depth} end
for i = 1, count do
  redis.call('XADD', KEYS[1], '*', 'message', ARGV[2 * i])
  if ARGV[2 * i + 1] ~= '' then redis.call('SADD', KEYS[3], ARGV[2 * i + 1]) end
end
return {1, depth + count}
"""

_PROMOTE = """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, message in ipairs(due) do
  redis.call('XADD', KEYS[2], '*', 'message', message)
  redis.call('ZREM', KEYS[1], message)
end
return #due
"""

# The dead-letter stream is bounded without trimming too: when it is full the entry has to stay.
_BURY = """
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[1]) then return 0 end
local fields = {}
for i = 5, #ARGV do fields[#fields + 1] = ARGV[i] end
redis.call('XADD', KEYS[2], '*', unpack(fields))
redis.call('XACK', KEYS[1], ARGV[2], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
if ARGV[4] ~= '' then redis.call('SREM', KEYS[3], ARGV[4]) end
return 1
"""

# Appending to the queue again and removing from the dead letters is one step, so that an operator who
# is cut off half-way finds the record in exactly one place.
_REVIVE = """
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', 'message', ARGV[2])
if ARGV[3] ~= '' then redis.call('SADD', KEYS[3], ARGV[3]) end
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class Keys:
    """The Redis keys of one logical queue; part of the contract, operators read them."""

    stream: str
    retry: str
    dead: str


KEYS = {
    stream: Keys(f"audit:dlq:{stream}", f"audit:dlq:{stream}:retry", f"audit:dead-letter:{stream}")
    for stream in Stream
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One stream entry in our hands: ``fields`` as Redis has them, not judged yet."""

    stream: Stream
    id: str
    fields: dict[bytes, bytes]

    @property
    def message(self) -> bytes | None:
        """The JSON of the entry, if it has one."""
        return self.fields.get(FIELD)


@dataclass(frozen=True, slots=True)
class Levels:
    """How much lies where in one queue."""

    depth: int
    parked: int
    pending: int
    dead: int


class QueueFull(Exception):
    """The queue has no room for all of the entries; none was added."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.depth = depth


class NotDurable(Exception):
    """Redis did not confirm in time that the entries are in its append-only file."""


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

    def ping(self) -> bool:
        """Return true when Redis answers."""
        return bool(self._client.ping())

    def enqueue(
        self, stream: Stream, messages: Sequence[tuple[bytes, str]], *, aof_wait: timedelta | None = None
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
        pipeline.eval(_ENQUEUE, 3, keys.stream, keys.retry, IDS_KEY, *arguments)
        if aof_wait is not None:
            wait_ms = max(1, round(aof_wait.total_seconds() * 1000))
            pipeline.execute_command("WAITAOF", 1, 0, wait_ms)  # type: ignore[no-untyped-call]
        accepted, *confirmed = pipeline.execute()
        is_queued, depth = accepted
        if not is_queued:
            raise QueueFull(depth)
        if confirmed and confirmed[0][0] < 1:
            raise NotDurable
        return int(depth)

    def is_queued(self, event_ids: Sequence[str]) -> list[bool]:
        """Tell for each event id whether it is queued or parked."""
        members = cast("list[int]", self._client.smismember(IDS_KEY, list(event_ids)))
        return [bool(member) for member in members]

    def create_groups(self) -> None:
        """Create the consumer group on both streams; existing ones stay as they are."""
        for keys in KEYS.values():
            try:
                self._client.xgroup_create(keys.stream, self._group, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    def read_new(self, stream: Stream, count: int, block: timedelta | None = None) -> list[Delivery]:
        """Take up to ``count`` entries that nobody has taken yet; wait up to ``block`` for the first."""
        return self._read(stream, ">", count, block)

    def read_own(self, stream: Stream, count: int, after: str = "0") -> list[Delivery]:
        """Take again what this consumer was given after entry ``after`` and never finished."""
        return self._read(stream, after, count, None)

    def _read(self, stream: Stream, start: str, count: int, block: timedelta | None) -> list[Delivery]:
        block_ms = round(block.total_seconds() * 1000) if block else None
        answer: Any = self._client.xreadgroup(
            self._group, self._consumer, {KEYS[stream].stream: start}, count=count, block=block_ms
        )
        streams = answer.values() if isinstance(answer, dict) else [entries for _key, entries in answer or []]
        return [delivery for entries in streams for delivery in _deliveries(stream, entries)]

    def claim(self, stream: Stream, *, min_idle: timedelta, count: int) -> list[Delivery]:
        """Take over entries whose consumer has not finished them for ``min_idle``."""
        answer: Any = self._client.xautoclaim(
            KEYS[stream].stream,
            self._group,
            self._consumer,
            min_idle_time=round(min_idle.total_seconds() * 1000),
            count=count,
        )
        return list(_deliveries(stream, answer[1]))

    def delivery_counts(self, stream: Stream, count: int) -> dict[str, int]:
        """Return how often each pending entry of this consumer was handed out."""
        pending: Any = self._client.xpending_range(
            KEYS[stream].stream, self._group, min="-", max="+", count=count, consumername=self._consumer
        )
        return {entry["message_id"].decode(): int(entry["times_delivered"]) for entry in pending}

    def finish(self, delivery: Delivery, record_id: str) -> None:
        """Remove an entry whose row is committed."""
        with self._client.pipeline(transaction=True) as pipeline:
            self._remove(pipeline, delivery)
            if record_id:
                pipeline.srem(IDS_KEY, record_id)
            pipeline.execute()

    def park(self, delivery: Delivery, message: bytes, due_at: datetime) -> None:
        """Move an entry to the retry set, as ``message``, until ``due_at``."""
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.zadd(KEYS[delivery.stream].retry, {message: round(due_at.timestamp() * 1000)})
            self._remove(pipeline, delivery)
            pipeline.execute()

    def bury(self, delivery: Delivery, fields: dict[str, str | bytes], record_id: str) -> bool:
        """Move an entry to the dead letters; false, and nothing changed, when there is no room."""
        keys = KEYS[delivery.stream]
        flat = [part for pair in fields.items() for part in pair]
        moved = self._client.eval(
            _BURY,
            3,
            keys.stream,
            keys.dead,
            IDS_KEY,
            self._dead_max_len,
            self._group,
            delivery.id,
            record_id,
            *cast("list[str]", flat),
        )
        return bool(moved)

    def _remove(self, pipeline: Any, delivery: Delivery) -> None:
        key = KEYS[delivery.stream].stream
        pipeline.xack(key, self._group, delivery.id)
        pipeline.xdel(key, delivery.id)

    def promote(self, stream: Stream, now: datetime, count: int) -> int:
        """Move up to ``count`` parked entries that are due back into the stream; return how many."""
        keys = KEYS[stream]
        score = round(now.timestamp() * 1000)
        return int(cast("int", self._client.eval(_PROMOTE, 2, keys.retry, keys.stream, score, count)))

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

    def scan(self, stream: Stream, *, dead: bool = False, count: int | None = None) -> Iterator[Delivery]:
        """Return entries without taking them, oldest first."""
        key = KEYS[stream].dead if dead else KEYS[stream].stream
        return _deliveries(stream, self._client.xrange(key, count=count))

    def find(self, stream: Stream, entry_id: str, *, dead: bool = False) -> Delivery | None:
        """Return one entry without taking it."""
        key = KEYS[stream].dead if dead else KEYS[stream].stream
        return next(_deliveries(stream, self._client.xrange(key, min=entry_id, max=entry_id)), None)

    def parked(self, stream: Stream, count: int) -> list[bytes]:
        """Return parked entries, those due first at the front."""
        return cast("list[bytes]", self._client.zrange(KEYS[stream].retry, 0, count - 1))

    def revive(self, stream: Stream, dead_id: str, entry: Entry) -> bool:
        """Move a dead letter back into its queue as ``entry``; false when it is gone."""
        keys = KEYS[stream]
        record_id = entry.record_id if stream is Stream.EVENTS else ""
        moved = self._client.eval(
            _REVIVE, 3, keys.dead, keys.stream, IDS_KEY, dead_id, cast("str", entry.encode()), record_id
        )
        return bool(moved)

    def discard(self, stream: Stream, dead_id: str) -> bool:
        """Delete one dead letter; false when it is gone."""
        return bool(self._client.xdel(KEYS[stream].dead, dead_id))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _deliveries(stream: Stream, entries: Any) -> Iterator[Delivery]:
    for entry_id, fields in _flattened(entries):
        if fields is not None:  # deleted meanwhile: Redis drops it from the pending list by itself
            yield Delivery(stream, entry_id.decode(), fields)


def _flattened(entries: Any) -> Iterator[tuple[bytes, dict[bytes, bytes] | None]]:
    """Level out how the two protocol versions nest the answer of XREADGROUP."""
    for each in entries:
        if isinstance(each, list) and each and isinstance(each[0], list | tuple):
            yield from each
        else:
            yield each
