"""Keeps the months ready while the service runs, and shows when one is not.

Any number of processes may run this: they read the catalogue, and only a missing month makes one of
them take the advisory lock and create it while the others wait and find it there. Each process looks
for itself because each one exports the metrics.
"""

import logging
from datetime import timedelta

from datastorage.partitions.plan import AUDIT_EVENTS, Month, months_covered_ahead, months_needed
from datastorage.partitions.store import EnsuredMonth, Outcome, PartitionStore
from datastorage.platform.clock import Clock
from datastorage.platform.metrics import Metrics
from datastorage.settings import Settings

logger = logging.getLogger(__name__)

MAINTENANCE_INTERVAL = timedelta(days=1)
RETRY_INTERVAL = timedelta(minutes=1)
"""Pause after a round that could not even read the catalogue, for example before the database is up."""

_UNAVAILABLE = "unavailable"
_MESSAGES = {
    Outcome.CREATED: (logging.INFO, "Partition created"),
    Outcome.DETACHED: (logging.WARNING, "Partition is detached"),
    Outcome.FAILED: (logging.ERROR, "Partition could not be created"),
}


class PartitionWorker:
    """One round of maintenance per ``run_once``, for a ``Loop``."""

    def __init__(self, store: PartitionStore, settings: Settings, metrics: Metrics, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._reported: set[Month] = set()

    def run_once(self) -> None:
        """Create the months that are missing and set the metrics; a month that fails is only logged.

        Raises:
            DatabaseError: the catalogue could not be read.
        """
        now = self._clock()
        months_ahead, max_age = self._settings.partition.months_ahead, self._settings.limits.max_event_age
        for ensured in self._store.ensure(months_needed(now, months_ahead, max_age)):
            if ensured.outcome in _MESSAGES:
                level, message = _MESSAGES[ensured.outcome]
                extra = {"table": ensured.table, "partition": str(ensured.month)}
                logger.log(level, message, extra=extra, exc_info=ensured.error)
            if ensured.table == AUDIT_EVENTS.name:
                self._report(ensured)
        partitions = self._store.list_partitions()
        months = {p.month for p in partitions if p.month and p.attached and p.table == AUDIT_EVENTS.name}
        self._metrics.partition_months_ahead.set(months_covered_ahead(months, Month.of(now)))
        for table, rows in self._store.count_outside_months().items():
            self._metrics.default_partition_rows.labels(table).set(rows)
            if rows:
                logger.warning("Rows lie outside all months", extra={"table": table, "rows": rows})

    def _report(self, ensured: EnsuredMonth) -> None:
        """Set the status of a month that is not ready, and reset it when it is.

        A month may exist and still refuse writes: a status that a write has set is reset by a write.
        """
        if not ensured.is_ready:
            self._reported.add(ensured.month)
        elif ensured.month in self._reported:
            self._reported.remove(ensured.month)
        else:
            return
        self._metrics.partition_status.labels(str(ensured.month), _UNAVAILABLE).set(not ensured.is_ready)
