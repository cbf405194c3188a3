"""The sealer: one per pod gives what waits its leaves, and signs what was committed (ledger.md 4)."""

import logging
from collections.abc import Collection
from typing import Final

from datastorage.errors import DatabaseError
from datastorage.ledger.alarm import RollbackAlarm
from datastorage.ledger.key_files import LedgerKeys
from datastorage.ledger.state import SharedState, State
from datastorage.ledger.store import LedgerStore, Sealed
from datastorage.ledger.tables import LEAVES_PER_PARTITION
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.loop import AT_ONCE
from datastorage.platform.metrics import Metrics
from datastorage.platform.pod_lock import PodLock

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 15.0
"""How often what waits is counted."""
BEHIND_SECONDS: Final = 60.0
MISSING_SECONDS: Final = 60.0
"""How often an event is looked for that was not found: its month is detached, or it is gone."""
REPEATED_SECONDS: Final = 60.0
UNSIGNED_SECONDS: Final = 3600.0
PARTITIONS_AHEAD: Final = 2


class Sealer:
    """One round of sealing per ``run_once``, for a ``Loop``.

    Args:
        store: the ledger, on a connection of its own.
        keys: those that sign.
        lock: decides which process of the pod seals.
        alarm: keeps it from sealing a history that is not the published one.
        state: what ``/health`` shows.
        batch: rows of one round.
        metrics: rounds, sizes and lags.
    """

    def __init__(  # noqa: PLR0913 - the loop is where all of them meet
        self,
        store: LedgerStore,
        keys: LedgerKeys,
        *,
        lock: PodLock,
        alarm: RollbackAlarm,
        state: SharedState,
        batch: int,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._keys = keys
        self._lock = lock
        self._alarm = alarm
        self._state = state
        self._batch = batch
        self._metrics = metrics
        self._are_keys_stated = False
        self._partition = -1
        self._missing: dict[int, float] = {}
        self._oldest: tuple[int | None, float] = (None, 0.0)
        self._looked_at = float("-inf")
        self._unsigned_at = float("-inf")
        self._failed_at: dict[str, float] = {}

    def run_once(self) -> object:
        """Seal and sign what there is, if this process is the one of its pod; a fault is only logged."""
        if not self._lock.try_hold():
            return None
        self._warn_unsigned()
        try:
            sealed = self._seal() if self._alarm.permits_sealing() else None
            self._look()
        except DatabaseError as fault:
            self._metrics.ledger_seals.labels("error").inc()
            self._log_failure(fault)
            return None
        return AT_ONCE if sealed is not None and sealed.is_full and sealed.leaves else None

    def _seal(self) -> Sealed | None:
        began = monotonic_seconds()
        keys = None if self._are_keys_stated else self._keys
        sealed = self._store.seal(self._batch, self._not_yet(began), keys, self._alarm.previous)
        if sealed is None:
            self._metrics.ledger_seals.labels("busy").inc()
            return None
        self._are_keys_stated = True
        self._missing |= dict.fromkeys(sealed.missing, began)
        self._report(sealed, monotonic_seconds() - began)
        if self._keys.signing:
            self._store.sign(self._keys)
        self._keep_partitions_ahead(sealed.size)
        return sealed

    def _not_yet(self, now: float) -> Collection[int]:
        """Return the rows whose events were missing less than a minute ago."""
        self._missing = {
            each: seen_at for each, seen_at in self._missing.items() if now - seen_at < MISSING_SECONDS
        }
        return self._missing

    def _report(self, sealed: Sealed, seconds: float) -> None:
        metrics = self._metrics
        metrics.ledger_tree_size.set(sealed.size)
        if not sealed.leaves:
            metrics.ledger_seals.labels("idle").inc()
            return
        metrics.ledger_seals.labels("sealed").inc()
        metrics.ledger_seal_duration_seconds.observe(seconds)
        if sealed.lags:
            metrics.ledger_seal_lag_seconds.add([max(lag, 0.0) for lag in sealed.lags])
        extra = {
            "leaves": sealed.leaves, "tree_size": sealed.size, "duration_ms": round(seconds * 1000, 3)
        }  # fmt: skip
        logger.debug("Ledger sealed", extra=extra)

    def _keep_partitions_ahead(self, size: int) -> None:
        number = size // LEAVES_PER_PARTITION
        if number != self._partition:
            for ahead in range(number, number + PARTITIONS_AHEAD + 1):
                self._store.ensure_partition(ahead)
            self._partition = number

    def _look(self) -> None:
        """Now and then, see how much waits and for how long, and say so."""
        now = monotonic_seconds()
        has_turned = self._alarm.is_raised != (self._state() is State.STOPPED)
        if not has_turned and now - self._looked_at < LOOK_SECONDS:
            return
        waiting = self._store.waiting()
        self._looked_at = now
        if waiting.first != self._oldest[0]:
            self._oldest = (waiting.first, now)
        seconds = 0.0 if waiting.first is None else now - self._oldest[1]
        self._metrics.ledger_unsealed.set(waiting.rows)
        self._metrics.ledger_oldest_unsealed_seconds.set(seconds)
        if self._alarm.is_raised:
            self._show(State.STOPPED)
        elif seconds >= BEHIND_SECONDS:
            self._show(State.BEHIND)
        else:
            self._show(State.OK if self._keys.signing else State.UNSIGNED)

    def _show(self, state: State) -> None:
        self._state.set(state)
        for each in State:
            self._metrics.ledger_state.labels(each).set(each is state)

    def _warn_unsigned(self) -> None:
        now = monotonic_seconds()
        if not self._keys.signing and now - self._unsigned_at >= UNSIGNED_SECONDS:
            self._unsigned_at = now
            logger.warning("Ledger is not signed")

    def _log_failure(self, fault: DatabaseError) -> None:
        """Log a cause, unless it was logged within the last minute."""
        now = monotonic_seconds()
        if now - self._failed_at.get(fault.reason, float("-inf")) >= REPEATED_SECONDS:
            self._failed_at[fault.reason] = now
            logger.error("Ledger sealing failed", exc_info=fault, extra={"reason": fault.reason})


class Pause:
    """States, once, that events get no leaves.

    Args:
        store: the ledger.
    """

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self._is_stated = False

    def run_once(self) -> None:
        """State it, if it has not been.

        Raises:
            DatabaseError: it is not stated yet.
        """
        if not self._is_stated:
            self._store.pause()
            self._is_stated = True
