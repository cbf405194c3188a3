"""The way through the queue, for the retry loop and the drain: batch by batch, the streams taking turns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from datastorage.dlq.entry import Stream
from datastorage.dlq.keys import Delivery
from datastorage.dlq.stream import RedisQueue

Batches = Iterator[list[Delivery]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traversal:
    """Takes entries out of both streams, so that neither starves.

    Attributes:
        queue: where they are.
        streams: which of them, the first one first.
        batch_size: own and new entries at a time.
        claim_size: abandoned entries at a time.
        min_idle: after which the entries of another consumer count as abandoned.
    """

    queue: RedisQueue
    streams: Sequence[Stream]
    batch_size: int
    claim_size: int
    min_idle: timedelta

    def own(self) -> Batches:
        """Yield what this consumer was given earlier and never finished."""
        return self._in_turns(self._own)

    def _own(self, stream: Stream) -> Batches:
        after = "0"
        while deliveries := self.queue.read_own(stream, self.batch_size, after):
            after = deliveries[-1].id
            yield deliveries

    def new(self) -> Batches:
        """Yield what no consumer has taken yet."""
        return self._in_turns(lambda stream: iter(partial(self.queue.read_new, stream, self.batch_size), []))

    def abandoned(self) -> Batches:
        """Yield what other consumers took and have not finished; those of living ones are left to them."""
        claim = partial(self.queue.claim, min_idle=self.min_idle, count=self.claim_size)
        return self._in_turns(lambda stream: iter(partial(claim, stream), []))

    def _in_turns(self, batches: Callable[[Stream], Batches]) -> Batches:
        sources = [batches(stream) for stream in self.streams]
        while sources:
            for source in list(sources):
                batch = next(source, None)
                if batch is None:
                    sources.remove(source)
                else:
                    yield batch
