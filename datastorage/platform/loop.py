"""A thread that repeats a function and stops when told."""

import logging
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread
from typing import Final

from datastorage.platform.failures import failure_of

logger = logging.getLogger(__name__)

AT_ONCE: Final = object()
"""What a round returns that wants to be followed without a pause."""


class Loop:
    """Calls ``run_once`` at the start and then again and again, whatever it raises.

    The thread is a daemon: work that must not be cut off belongs in a transaction, and a process that
    is killed would cut it off anyway. A loop that was stopped is not started again.

    Args:
        name: of the thread, and of the loop in the log.
        run_once: one round of the work; ``AT_ONCE`` when there is more.
        interval: pause between the end of one round and the start of the next.
        retry_interval: pause after a round that raised, ``interval`` when absent.
    """

    def __init__(
        self,
        name: str,
        run_once: Callable[[], object],
        interval: timedelta,
        *,
        retry_interval: timedelta | None = None,
    ) -> None:
        self._name = name
        self._run_once = run_once
        self._interval = interval
        self._retry_interval = retry_interval or interval
        self._outcome: object = None
        self._stopping = Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; the first round begins at once."""
        self._thread.start()

    def stop(self, timeout: timedelta) -> bool:
        """Let the current round finish and return whether it did within ``timeout``."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout.total_seconds())
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._outcome = None
            failure = failure_of(self._go)
            if failure is not None:
                logger.error("Background work failed", exc_info=failure, extra={"loop": self._name})
            if self._outcome is AT_ONCE:
                continue
            pause = self._interval if failure is None else self._retry_interval
            self._stopping.wait(pause.total_seconds())

    def _go(self) -> None:
        self._outcome = self._run_once()
