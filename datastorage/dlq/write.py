"""A write that is never lost: committed by PostgreSQL, or safe in the queue, or refused to the client.

Whatever becomes of it is logged once and counted by the service that the records are about.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from datastorage.dlq.entry import EntryType
from datastorage.dlq.service import DeadLetterQueue
from datastorage.dlq.write_log import LoggedWrite
from datastorage.errors import DatabaseError, QueueUnusable
from datastorage.platform.clock import Clock
from datastorage.platform.metrics import Metrics

R = TypeVar("R")
T = TypeVar("T")

SUCCESS: Final = "success"
QUEUED: Final = "dlq_fallback"
FAILURE: Final = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[R]):
    """What a write has to know about one kind of record.

    Attributes:
        entry_type: what it is in the queue.
        payload: what the queue keeps of it.
        service: the metric label of the service it is about.
        happened_at: when, for the lag.
        message: of the log line of a write.
        log_fields: what that line says of the records, which are at least one.
    """

    entry_type: EntryType
    payload: Callable[[R], dict[str, Any]]
    service: Callable[[R], str]
    happened_at: Callable[[R], datetime]
    message: str
    log_fields: Callable[[Sequence[R]], Mapping[str, object]]


class StoreOrQueue(Generic[R]):
    """Stores records of one kind, or queues all of them.

    Args:
        kind: what they are.
        queue: where they go when the database cannot take them now.
        metrics: counts and lag of writes.
        clock: the server's now, for the lag.
        logger: of the feature.
    """

    def __init__(
        self,
        kind: Kind[R],
        queue: DeadLetterQueue,
        metrics: Metrics,
        clock: Clock,
        logger: logging.Logger,
    ) -> None:
        self._kind = kind
        self._queue = queue
        self._metrics = metrics
        self._clock = clock
        self._logger = logger

    def write(self, records: Sequence[R], store: Callable[[], T], queued: Callable[[], T]) -> T:
        """Return what ``store`` returns, or what ``queued`` does once the records are in the queue.

        Raises:
            QueueUnusable: nothing is stored or queued; the client keeps the records and retries.
            DataStorageError: what ``store`` raises, unless the database cannot take the records now.
        """
        with LoggedWrite(self._logger, self._kind.message, self._kind.log_fields(records)) as line:
            try:
                try:
                    return store()
                except DatabaseError as fault:
                    line.queued_for = fault.reason
                    self._queue.park(self._kind.entry_type, list(map(self._kind.payload, records)), fault)
            except QueueUnusable:
                self._count(records, FAILURE)
                raise
            self._count(records, QUEUED)
            return queued()

    def count_stored(self, records: Sequence[R], created: Iterable[R]) -> None:
        """Count ``records`` as stored, and observe how late those came that had not been before."""
        self._count(records, SUCCESS)
        now = self._clock()
        for record in created:
            lag_seconds = max((now - self._kind.happened_at(record)).total_seconds(), 0.0)
            self._metrics.audit_lag_seconds.labels(self._kind.service(record)).observe(lag_seconds)

    def _count(self, records: Sequence[R], status: str) -> None:
        services = [self._kind.service(record) for record in records]
        for service in set(services):
            self._metrics.audit_traces.labels(service, status).inc(services.count(service))
