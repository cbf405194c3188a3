"""Once a day: old checkpoints go, and the record is compared with the ledger (ledger.md 6 and 11)."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from datastorage.ledger.comparison import Difference, Differences, LedgerAudit
from datastorage.ledger.history import History
from datastorage.partitions.plan import Month
from datastorage.platform.clock import Clock, monotonic_seconds
from datastorage.platform.metrics import Metrics

logger = logging.getLogger(__name__)

DAY_SECONDS: Final = 24 * 3600.0
FIRST_AFTER: Final = timedelta(hours=1)
"""So that a roll-out does not read months in every pod that starts."""
KEPT: Final = timedelta(hours=24)


class LedgerMaintenance:
    """One look per ``run_once``, for a ``Loop``; the work is done once a day, by one process of each pod.

    Args:
        history: has the checkpoints.
        audit: compares, or ``None`` when that is switched off.
        attached_months: those whose events can be read.
        is_sealer: whether this process seals for its pod.
        metrics: what was found.
        clock: tells the month.
        first_after: from the start to the first time.
    """

    def __init__(  # noqa: PLR0913 - the loop is where all of them meet
        self,
        history: History,
        audit: LedgerAudit | None,
        attached_months: Callable[[], set[Month]],
        *,
        is_sealer: Callable[[], bool],
        metrics: Metrics,
        clock: Clock,
        first_after: timedelta = FIRST_AFTER,
    ) -> None:
        self._history = history
        self._audit = audit
        self._attached_months = attached_months
        self._is_sealer = is_sealer
        self._metrics = metrics
        self._clock = clock
        self._due_at = monotonic_seconds() + first_after.total_seconds()
        self._older = 0

    def run_once(self) -> None:
        """Do what is due.

        Raises:
            DatabaseError: it is done in the next round.
        """
        now = monotonic_seconds()
        if not self._is_sealer() or now < self._due_at:
            return
        self._history.forget_old_checkpoints(KEPT)
        if self._audit is not None:
            self._compare(self._audit)
        self._due_at = now + DAY_SECONDS

    def _compare(self, audit: LedgerAudit) -> None:
        found = Differences()
        for month in self._months_to_compare():
            audit.compare_month(month, found)
        audit.compare_statements(found)
        for kind in Difference:
            self._metrics.ledger_audit_differences.labels(kind).set(found.counts[kind])
        self._metrics.ledger_audit_timestamp.set(self._clock().timestamp())
        counts = {kind.value: number for kind, number in found.counts.items()}
        if found.total:
            shown = {kind.value: some for kind, some in found.shown.items()}
            logger.error("Ledger audit found differences", extra={"counts": counts, "shown": shown})
        else:
            logger.info("Ledger audit finished", extra={"before_ledger": found.before_ledger})

    def _months_to_compare(self) -> list[Month]:
        """Return this month, the one before, and in turn one older."""
        this_month = Month.of(self._clock())
        recent = {this_month, this_month.previous()}
        attached = self._attached_months()
        older = sorted(month for month in attached - recent if month < this_month)
        chosen = sorted(recent & attached)
        if older:
            chosen.append(older[self._older % len(older)])
            self._older += 1
        return chosen
