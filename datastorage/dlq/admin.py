"""What operators do with the queue: look, bring back, discard (``datastorage dlq``).

There is no step here that deletes a record from the queue, only one that deletes a dead letter.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, cast

import redis

from datastorage.dlq import scripts
from datastorage.dlq.entry import EntryType, Stream, Unreadable, decode
from datastorage.dlq.keys import FIELD, IDS_KEY, KEYS, Delivery
from datastorage.dlq.policy import backoff

_PAGE: Final = 100


class QueueAdmin:
    """The steps that the retry loop never takes; one public method is one atomic step, or only reads.

    Args:
        client: bytes in, bytes out.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def entries(self, stream: Stream, *, dead: bool = False) -> Iterator[Delivery]:
        """Yield entries without taking them, oldest first, a page at a time."""
        key = KEYS[stream].dead if dead else KEYS[stream].stream
        start = "-"
        while page := cast("list[Any]", self._client.xrange(key, min=start, count=_PAGE)):
            for entry_id, fields in page:
                yield Delivery(stream, entry_id.decode(), fields)
            start = f"({page[-1][0].decode()}"

    def parked(self, stream: Stream) -> Iterator[Delivery]:
        """Yield parked entries, which have no id, those that are due first at the front."""
        key, start = KEYS[stream].retry, 0
        while page := cast("list[bytes]", self._client.zrange(key, start, start + _PAGE - 1)):
            for message in page:
                yield Delivery(stream, "", {FIELD: message})
            start += len(page)

    def find(self, stream: Stream, entry_id: str, *, dead: bool = False) -> Delivery | None:
        """Return one entry without taking it."""
        key = KEYS[stream].dead if dead else KEYS[stream].stream
        found = cast("list[Any]", self._client.xrange(key, min=entry_id, max=entry_id))
        return Delivery(stream, found[0][0].decode(), found[0][1]) if found else None

    def make_due(self, stream: Stream, waits: Sequence[timedelta], now: datetime) -> int:
        """Let the backoff of everything parked be over, and return how much that is."""
        return sum(
            self._reschedule(stream, message, _without_backoff(message, waits, now), now)
            for message in [parked.fields[FIELD] for parked in self.parked(stream)]
        )

    def _reschedule(self, stream: Stream, message: bytes, changed: bytes, due_at: datetime) -> bool:
        score: Any = int(due_at.timestamp() * 1000)
        arguments: list[Any] = [message, changed, score]
        return bool(self._client.eval(scripts.RESCHEDULE, 1, KEYS[stream].retry, *arguments))

    def bring_back(self, stream: Stream, letter: Delivery, now: datetime) -> bool:
        """Move a dead letter back into the queue, with no attempt counted; false when it is gone.

        Raises:
            Unreadable: there is no record in it.
        """
        entry = replace(decode(letter.message), retry_count=0, timestamp=now)
        keys = KEYS[stream]
        record_id = entry.record_id if entry.type is EntryType.AUDIT_EVENT else ""
        arguments: list[Any] = [letter.id, entry.encode(), record_id]
        return bool(self._client.eval(scripts.REVIVE, 3, keys.dead, keys.stream, IDS_KEY, *arguments))

    def discard(self, stream: Stream, dead_id: str) -> bool:
        """Delete one dead letter; false when it is gone."""
        return bool(self._client.xdel(KEYS[stream].dead, dead_id))


def _without_backoff(message: bytes, waits: Sequence[timedelta], now: datetime) -> bytes:
    """Return the message as if its last failure had been long enough ago.

    The retry loop judges by the entry alone, wherever it has been meanwhile.
    """
    try:
        entry = decode(message)
    except Unreadable:
        return message
    return replace(entry, timestamp=now - backoff(entry.retry_count, waits)).encode()
