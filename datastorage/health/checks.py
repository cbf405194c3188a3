"""Checks that answer within two seconds whatever the server behind them does.

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
    """Return what each check finds, at most a second old; they run side by side within one budget."""
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
        abort: Callable[[], None] | None = None,
        on_finding: Callable[[bool], None] | None = None,
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
        self._logged_at = -LOG_INTERVAL_SECONDS

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
            return self._fresh(asked_at) or self._give_up()

    def _fresh(self, asked_at: float) -> Finding | None:
        return self._finding if self._found_at >= asked_at - FRESH_SECONDS else None

    def _give_up(self) -> Finding:
        if self._abort is not None:
            self._abort()
        self._warn("no answer in time")
        self._tell(is_up=False)
        return Finding(is_up=False)

    def _run(self) -> None:
        facts: list[object] = []
        cause = failure_of(lambda: facts.append(self._probe()))  # any fault of a probe means "down"
        finding = Finding(is_up=True, fact=facts[0]) if cause is None else Finding(is_up=False, cause=cause)
        with self._condition:
            self._finding, self._found_at, self._running = finding, monotonic_seconds(), False
            self._condition.notify_all()
            self._tell(is_up=finding.is_up)
            if cause is not None:
                self._warn(type(cause).__name__, cause)

    def _tell(self, *, is_up: bool) -> None:
        if self._on_finding is not None:
            self._on_finding(is_up)

    def _warn(self, text: str, cause: Exception | None = None) -> None:
        now = monotonic_seconds()
        if now - self._logged_at >= LOG_INTERVAL_SECONDS:
            self._logged_at = now
            logger.warning("Health check failed", exc_info=cause, extra={"probe": self._name, "cause": text})
