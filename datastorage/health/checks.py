"""Checks that answer within two seconds whatever the server behind them does.

libpq has no read timeout: a query on a frozen server hangs for as long as the server does. So a check
runs on a thread of its own and its caller waits no longer than the budget; callers that come
meanwhile share the answer instead of starting another check, and an answer is reused for a second.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread

from datastorage.platform.clock import monotonic_seconds

logger = logging.getLogger(__name__)

BUDGET_SECONDS = 2.0
FRESH_SECONDS = 1.0
LOG_INTERVAL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check; ``fact`` is what the check returned, absent when it failed."""

    is_up: bool
    fact: object = None


class Check:
    """One named check, shared by everyone who asks at the same time.

    Args:
        name: what the log calls it.
        probe: does the check; any exception means "down". Must be safe to abandon.
        abort: ends a probe that is still running when the budget is spent, so that no thread is left.
        on_finding: told every new finding, for the gauge.
    """

    def __init__(
        self,
        name: str,
        probe: Callable[[], object],
        *,
        abort: Callable[[], None] | None = None,
        on_finding: Callable[[bool], None] | None = None,
    ) -> None:
        self._name = name
        self._probe = probe
        self._abort = abort
        self._on_finding = on_finding
        self._condition = Condition()
        self._running = False
        self._finding: Finding | None = None
        self._found_at = 0.0
        self._logged_at = -LOG_INTERVAL_SECONDS

    def finding(self) -> Finding:
        """Return a finding at most a second old, or "down" when none arrives within the budget."""
        deadline = monotonic_seconds() + BUDGET_SECONDS
        with self._condition:
            asked_at = monotonic_seconds()
            if self._is_fresh(asked_at - FRESH_SECONDS):
                return self._known()
            if not self._running:
                self._running = True
                Thread(target=self._run, name=f"check-{self._name}", daemon=True).start()
            while not self._is_fresh(asked_at):
                remaining = deadline - monotonic_seconds()
                if remaining <= 0:
                    break
                self._condition.wait(remaining)
            else:
                return self._known()
        return self._give_up()

    def _give_up(self) -> Finding:
        if self._abort is not None:
            self._abort()
        self._warn("no answer in time", monotonic_seconds())
        self._tell(is_up=False)
        return Finding(is_up=False)

    def _is_fresh(self, since: float) -> bool:
        return self._finding is not None and self._found_at >= since

    def _known(self) -> Finding:
        assert self._finding is not None  # noqa: S101 - asked only when fresh
        return self._finding

    def _run(self) -> None:
        try:
            finding = Finding(is_up=True, fact=self._probe())
            cause = None
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the answer is "down"
            finding, cause = Finding(is_up=False), error
        with self._condition:
            self._finding, self._found_at, self._running = finding, monotonic_seconds(), False
            self._condition.notify_all()
        self._tell(is_up=finding.is_up)
        if cause is not None:
            self._warn(type(cause).__name__, monotonic_seconds(), cause)

    def _tell(self, *, is_up: bool) -> None:
        if self._on_finding is not None:
            self._on_finding(is_up)

    def _warn(self, text: str, now: float, cause: Exception | None = None) -> None:
        if now - self._logged_at >= LOG_INTERVAL_SECONDS:
            self._logged_at = now
            logger.warning("Health check failed", exc_info=cause, extra={"probe": self._name, "cause": text})
