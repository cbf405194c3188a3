"""What our arbiter does otherwise than gunicorn's: it waits, supervising, before it stops accepting.

The stock arbiter closes its listeners and stops its workers the moment it is asked to; Kubernetes goes
on sending requests for seconds. ``take_over`` replaces methods of one arbiter object, so the service
behaves the same under ``datastorage serve`` and ``gunicorn -c``. Decision 0011 has the alternatives.
"""

import logging
import os
import signal
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.failures import failure_of
from datastorage.platform.logs import line_writers
from datastorage.platform.server.last_child import run_in_child
from datastorage.platform.server.shutdown import Shutdown

if TYPE_CHECKING:
    from datastorage.platform.server.in_flight import InFlightRequests

logger = logging.getLogger(__name__)

REAP_SECONDS: Final = 1.0
CHILD_GRACE_SECONDS: Final = 0.5

STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
IGNORED: Final = ("usr2", "winch", "ttin", "ttou")
"""Signals by which gunicorn changes the number of workers: the connection budget is divided by it."""

REPLACED: Final = (
    "signal",
    "handle_term",
    "handle_int",
    "handle_quit",
    "handle_hup",
    *(f"handle_{name}" for name in IGNORED),
    "kill_workers",
    "reap_workers",
    "stop",
)
"""Methods of gunicorn's arbiter that are replaced; a test asserts that they exist."""


class ReloadInterrupted(Exception):
    """A shutdown was asked for while old workers were still leaving after a reload."""


class ShutdownControl:
    """The replaced methods of one arbiter.

    Args:
        arbiter: gunicorn's, with its own signal handlers in place.
        shutdown: the steps.
        reload: reads the configuration again and returns whether to go on with it.
        drain_queue: step 4 and the closing of its connections; gets its deadline in monotonic seconds.
        on_begin: called once, when a shutdown begins.
    """

    def __init__(
        self,
        arbiter: Any,
        shutdown: Shutdown,
        *,
        reload: Callable[[], bool],
        drain_queue: Callable[[float], None],
        on_begin: Callable[[], None] = lambda: None,
    ) -> None:
        self.meant_for_child: SimpleQueue[int] = SimpleQueue()
        self._arbiter = arbiter
        self._shutdown = shutdown
        self._reload = reload
        self._drain_queue = drain_queue
        self._on_begin = on_begin
        self._pid = os.getpid()
        self._was_interrupted = False
        self._is_reloading = False
        self._repeated: deque[int] = deque()
        self._workers_in_flight: list[InFlightRequests] = []

    def take_over(self) -> None:
        """Replace the methods and register the signals that need another handler."""
        for name in REPLACED:
            setattr(self._arbiter, name, getattr(self, name, self.handle_ignored))
        self._arbiter.handle_alrm = self.handle_alrm
        for number in (*Arbiter.SIGNALS, signal.SIGALRM):
            signal.signal(number, self.signal)

    def signal(self, number: int, _frame: FrameType | None) -> None:
        """Take note of a signal and queue it: nothing is logged inside a signal handler.

        In the queue a SIGINT is the second one: the first means the same as SIGTERM.
        """
        if os.getpid() != self._pid:
            self.meant_for_child.put(number)  # a worker that has not installed its own handlers yet
            return
        self._arbiter.SIG_QUEUE.put_nowait(self._noted(number))

    def _noted(self, number: int) -> int:
        if number == signal.SIGHUP and self._shutdown.is_requested:
            self._repeated.append(number)
        if number not in STOPPING:
            return number
        is_first = not self._shutdown.is_requested
        self._shutdown.request(signal.Signals(number).name)
        is_first_interrupt = number == signal.SIGINT and not self._was_interrupted
        if is_first_interrupt:
            self._was_interrupted = True
        if (number == signal.SIGTERM or is_first_interrupt) and not is_first:
            self._repeated.append(number)
        return signal.SIGTERM if is_first_interrupt else number

    def handle_term(self) -> None:
        """Begin: raise the flag, arm the timer, and go on supervising."""
        if self._shutdown.is_running:
            self._report_repeated()
            return
        self._begin("SIGTERM")
        seconds = self._shutdown.begin_wait()
        if seconds > 0:
            signal.setitimer(signal.ITIMER_REAL, seconds)
        else:
            self.handle_alrm()

    def _begin(self, signal_name: str) -> None:
        if not self._shutdown.is_running:
            self._shutdown.begin(signal_name)
            self._on_begin()

    def handle_alrm(self) -> None:
        """End the wait; StopIteration is gunicorn's own way into ``halt``."""
        self._shutdown.end_wait()
        self._watch_the_clock()
        raise StopIteration

    def handle_int(self) -> None:
        """Stop at once."""
        self.handle_quit()

    def handle_quit(self) -> None:
        """Stop at once."""
        self._begin("SIGQUIT")
        self._shutdown.is_quick = True
        self._watch_the_clock()
        raise StopIteration

    def _watch_the_clock(self) -> None:
        signal.signal(signal.SIGALRM, self._give_up)
        signal.setitimer(signal.ITIMER_REAL, self._shutdown.seconds_to_watchdog)

    def _give_up(self, _number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            return
        self._shutdown.give_up()
        for pid in list(self._arbiter.WORKERS):
            os.kill(pid, signal.SIGKILL)
        os._exit(1)

    def handle_hup(self) -> None:
        """Read the configuration again and replace the workers, unless a shutdown has begun."""
        if self._shutdown.is_requested:
            self._report_repeated()
            return
        if not self._reload():
            return
        self._is_reloading = True
        try:
            Arbiter.handle_hup(self._arbiter)
        except ReloadInterrupted:
            logger.info("Reload ends early: a shutdown was asked for")
        finally:
            self._is_reloading = False

    def handle_ignored(self) -> None:
        """Do nothing, and say so."""
        logger.warning("Signal ignored: the number of workers is fixed by the configuration")

    def reap_workers(self) -> None:
        """Also say what was ignored, and do not wait for the old workers of a reload for ever.

        gunicorn calls this every second, so lines that standard output did not take are tried again.
        """
        for writer in line_writers():
            writer.write()
        if self._is_reloading and self._shutdown.is_requested:
            raise ReloadInterrupted
        self._report_repeated()
        try:
            Arbiter.reap_workers(self._arbiter)
        except HaltServer:
            # A worker that could not start: no reason to leave the others behind.
            if not self._shutdown.is_running:
                raise

    def _report_repeated(self) -> None:
        while self._shutdown.is_running and self._repeated:
            number = self._repeated.popleft()
            extra = {"signal": signal.Signals(number).name}
            if number == signal.SIGHUP:
                logger.warning("Reload ignored during shutdown", extra=extra)
            else:
                logger.warning("Repeated shutdown signal ignored", extra=extra)

    def kill_workers(self, number: int) -> None:
        """Notice how far it has come: SIGQUIT makes it quick, SIGKILL means that time is up."""
        if self._shutdown.is_running and number == signal.SIGQUIT:
            self._shutdown.is_quick = True
        if self._shutdown.is_running and number == signal.SIGKILL:
            self.reap_workers()
            if self._arbiter.WORKERS:
                self._shutdown.cut_drain(len(self._arbiter.WORKERS), self._in_flight())
        Arbiter.kill_workers(self._arbiter, number)

    def stop(self, graceful: bool = True) -> None:
        """Let the workers finish; until the last one is gone nobody may drain the queue."""
        if not self._shutdown.is_running:
            Arbiter.stop(self._arbiter, graceful)
            return
        started = monotonic_seconds()
        self._workers_in_flight = [worker.in_flight for worker in self._arbiter.WORKERS.values()]
        seconds = self._shutdown.begin_drain(self._in_flight())
        self._arbiter.cfg.set("graceful_timeout", seconds)
        is_patient = graceful and not self._shutdown.is_quick
        failure = failure_of(lambda: Arbiter.stop(self._arbiter, is_patient))
        if failure is not None:
            # Every later step runs although this one failed, but no worker may write while it is drained.
            logger.error("Stopping the workers failed", exc_info=failure)
            self._shutdown.reasons.append("stopping_workers_failed")
            Arbiter.kill_workers(self._arbiter, signal.SIGKILL)
        self._reap_killed()
        if not self._shutdown.reasons:
            drained = sum(worker.drained_count for worker in self._workers_in_flight)
            self._shutdown.end_drain(drained, monotonic_seconds() - started)

    def _in_flight(self) -> int:
        return sum(worker.count for worker in self._workers_in_flight)

    def _reap_killed(self) -> None:
        deadline = monotonic_seconds() + REAP_SECONDS
        self.reap_workers()
        while self._arbiter.WORKERS and (remaining := deadline - monotonic_seconds()) > 0:
            self._arbiter.wait_for_signals(timeout=remaining)  # SIGCHLD is one
            self.reap_workers()

    def finish(self) -> None:
        """Steps 4 and 5, when gunicorn is about to exit.

        Raises:
            SystemExit: with code 1 when a step failed.
        """
        if not self._shutdown.is_running:
            return
        try:
            self._drain_in_child()
        except OSError:
            logger.exception("DLQ drain failed")  # what is queued stays safely in Redis
        code = self._shutdown.end()
        signal.setitimer(signal.ITIMER_REAL, 0)
        if code != 0:
            raise SystemExit(code)

    def _drain_in_child(self) -> None:
        deadline = monotonic_seconds() + self._shutdown.queue_drain_seconds()
        is_done = run_in_child(
            lambda: self._drain_queue(deadline),
            deadline=deadline + CHILD_GRACE_SECONDS,
            progress=self._report_repeated,
        )
        if is_done is None:
            logger.warning("DLQ drain abandoned at its deadline", extra={"timed_out": True})
        elif not is_done:
            self._shutdown.reasons.append("closing_resources_failed")
