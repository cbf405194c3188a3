"""Checks that answer within two seconds even when the server behind them hangs.

libpq has no read timeout: a query on a frozen server hangs for as long as the server does. So a check
runs on a thread of its own and its caller waits no longer than the budget; callers that come
meanwhile share the answer instead of starting another check, and an answer is reused for a second.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition, Thread

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.failures import failure_of

logger = logging.getLogger(__name__)

BUDGET_SECONDS = 2.0
FRESH_SECONDS = 1.0
LOG_INTERVAL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check: the ``fact`` that it returned, or the ``cause`` of its failure, if known."""

    is_up: bool
    fact: object = None
    cause: Exception | None = field(default=None, compare=False)


def findings(*checks: "Check") -> list[Finding]:
    """Return the result of each check, at most a second old; they run side by side within one budget."""
    asked_at = monotonic_seconds()
    for check in checks:
        check.ask(asked_at)
    return [check.answer(asked_at) for check in checks]


class Check:
    """One named check, shared by everyone who asks at the same time.

    Args:
        name: what the log calls it.
        probe: does the check; any exception means "down". Must be safe to abandon.
        abort: ends a probe that is still running when the budget is spent, so that no thread is left.
        on_finding: told every new finding, for the gauge.
        budget_seconds: how long a caller waits.
    """

    def __init__(
        self,
        name: str,
        probe: Callable[[], object],
        *,
        abort: Callable[[], None] = lambda: None,
        on_finding: Callable[[bool], None] = lambda _is_up: None,
        budget_seconds: float = BUDGET_SECONDS,
    ) -> None:
        self._name = name
        self._probe = probe
        self._abort = abort
        self._on_finding = on_finding
        self._budget_seconds = budget_seconds
        self._condition = Condition()
        self._running = False
        self._finding: Finding | None = None
        self._found_at = float("-inf")
        self._logged_at = float("-inf")

    def ask(self, asked_at: float) -> None:
        """Start the probe, unless it is running or its last finding is fresh at ``asked_at``."""
        with self._condition:
            if not self._running and self._fresh(asked_at) is None:
                # Started first: when there is no thread to be had, the next caller tries again.
                Thread(target=self._run, name=f"check-{self._name}", daemon=True).start()
                self._running = True

    def answer(self, asked_at: float) -> Finding:
        """Wait for a finding fresh at ``asked_at``; "down" when none arrives within the budget."""
        with self._condition:
            remaining = asked_at + self._budget_seconds - monotonic_seconds()
            self._condition.wait_for(lambda: self._fresh(asked_at) is not None, remaining)
            finding = self._fresh(asked_at)
            if finding is None:
                finding = Finding(is_up=False)
                self._abort()
                self._warn("no answer in time")
                self._on_finding(False)
            return finding

    def _fresh(self, asked_at: float) -> Finding | None:
        return self._finding if self._found_at >= asked_at - FRESH_SECONDS else None

    def _run(self) -> None:
        facts: list[object] = []
        cause = failure_of(lambda: facts.append(self._probe()))  # any fault of a probe means "down"
        with self._condition:
            self._finding = Finding(cause is None, facts[0] if facts else None, cause)
            self._found_at, self._running = monotonic_seconds(), False
            self._condition.notify_all()
            self._on_finding(cause is None)
            if cause is not None:
                self._warn(type(cause).__name__, cause)

    def _warn(self, text: str, cause: Exception | None = None) -> None:
        now = monotonic_seconds()
        if now - self._logged_at >= LOG_INTERVAL_SECONDS:
            self._logged_at = now
            logger.warning("Health check failed", exc_info=cause, extra={"probe": self._name, "cause": text})
