"""gunicorn's arbiter, which goes on serving for a while before it stops accepting (DD-007).

The stock arbiter closes its listeners and stops its workers the moment it is asked to; Kubernetes goes on
sending requests for seconds. The hook ``on_starting`` changes the class of gunicorn's own arbiter to this
one, so ``datastorage serve`` and ``gunicorn -c`` behave the same. Decision 0011 has the alternatives.
"""

import logging
import os
import signal
from collections import deque
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Final

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.failures import failure_of
from datastorage.platform.logs import line_writers
from datastorage.platform.server.metrics import ArbiterMetrics
from datastorage.platform.server.shutdown import Shutdown

if TYPE_CHECKING:
    from datastorage.platform.server.shared import InFlightRequests

logger = logging.getLogger(__name__)

REAP_SECONDS: Final = 1.0
CHILD_GRACE_SECONDS: Final = 0.5
CHILD_POLL_SECONDS: Final = 0.1
STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class ReloadInterrupted(Exception):
    """A shutdown was asked for while old workers were still leaving after a reload."""


class GracefulArbiter(Arbiter):
    """The arbiter of the service. ``SIGALRM`` ends the wait of a shutdown."""

    SIGNALS = (*Arbiter.SIGNALS, signal.SIGALRM)

    def prepare(
        self, shutdown: Shutdown, *, reload: Callable[[], bool], drain_queue: Callable[[float], None]
    ) -> None:
        """Set what gunicorn's own arbiter lacks, before it registers signal handlers.

        Args:
            shutdown: the steps.
            reload: reads the configuration again and returns whether to go on with it.
            drain_queue: step 4 and the closing of its connections; gets its deadline in monotonic seconds.
        """
        self.metrics = ArbiterMetrics()
        self.signals_of_child: SimpleQueue[int] = SimpleQueue()
        """Signals of a worker that has not installed its own handlers yet."""
        self._shutdown = shutdown
        self._reload_settings = reload
        self._drain_queue = drain_queue
        self._was_interrupted = False
        self._is_reloading = False
        self._ignored: deque[int] = deque()
        self._in_flight: list[InFlightRequests] = []

    def signal(self, sig: int, frame: FrameType | None) -> None:
        """Take note of a signal and queue it: nothing is logged inside a signal handler.

        The first SIGINT means the same as SIGTERM, and is queued as such.
        """
        del frame
        if os.getpid() != self.pid:  # in a worker, between the fork and its own handlers
            self.signals_of_child.put(sig)
            return
        received, was_requested = sig, self._shutdown.is_requested
        if sig in STOPPING:
            self._shutdown.request(signal.Signals(sig).name)
        if sig == signal.SIGINT and not self._was_interrupted:
            self._was_interrupted = True
            sig = signal.SIGTERM
        if was_requested and sig in {signal.SIGTERM, signal.SIGHUP}:
            self._ignored.append(received)
        self.SIG_QUEUE.put_nowait(sig)

    def handle_term(self) -> None:
        """Begin a shutdown: raise the flag, arm the timer, and go on supervising."""
        if self._shutdown.is_running:
            self._report_ignored()
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
            self.metrics.begin_shutdown()

    def handle_alrm(self) -> None:
        """End the wait; StopIteration is gunicorn's own way into ``halt``."""
        logger.info("Endpoint removal propagation complete - no new traffic expected")
        self._start_watchdog()
        raise StopIteration

    def handle_quit(self) -> None:
        """Stop at once."""
        self._begin("SIGQUIT")
        self._shutdown.is_quick = True
        self._start_watchdog()
        raise StopIteration

    handle_int = handle_quit  # a second Ctrl-C

    def _start_watchdog(self) -> None:
        signal.signal(signal.SIGALRM, self._give_up)
        signal.setitimer(signal.ITIMER_REAL, self._shutdown.seconds_to_watchdog)

    def _give_up(self, _number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self.pid:
            return
        self._shutdown.give_up()
        for pid in list(self.WORKERS):
            os.kill(pid, signal.SIGKILL)
        os._exit(1)  # an exception could be caught by the code that hangs

    def handle_hup(self) -> None:
        """Read the configuration again and replace the workers, unless a shutdown has begun."""
        if self._shutdown.is_requested:
            self._report_ignored()
            return
        if not self._reload_settings():
            return
        self._is_reloading = True
        try:
            super().handle_hup()
        except ReloadInterrupted:
            logger.info("Reload ends early: a shutdown was asked for")
        finally:
            self._is_reloading = False

    def _handle_resize(self) -> None:
        logger.warning("Signal ignored: the number of workers is fixed by the configuration")

    # gunicorn would change the number of workers, by which the connections to the database are divided.
    handle_usr2 = handle_winch = handle_ttin = handle_ttou = _handle_resize

    def reap_workers(self) -> None:
        """Also report ignored signals, and end a reload when a shutdown was asked for."""
        self._try_again()
        if self._is_reloading and self._shutdown.is_requested:
            # gunicorn waits here for old workers and handles no signal meanwhile, up to the graceful timeout.
            raise ReloadInterrupted
        self._report_ignored()
        try:
            super().reap_workers()
        except HaltServer:
            # A worker could not start; during a shutdown the others may still finish.
            if not self._shutdown.is_running:
                raise

    def manage_workers(self) -> None:
        """Also try again what did not work: gunicorn calls this every second until it stops."""
        super().manage_workers()
        self._try_again()

    def _try_again(self) -> None:
        """Write lines that standard output did not take, and fold metrics that were being read."""
        for writer in line_writers():
            writer.write()
        self.metrics.fold_ended(self.WORKERS)

    def _report_ignored(self) -> None:
        while self._shutdown.is_running and self._ignored:
            number = self._ignored.popleft()
            extra = {"signal": signal.Signals(number).name}
            if number == signal.SIGHUP:
                logger.warning("Reload ignored during shutdown", extra=extra)
            else:
                logger.warning("Repeated shutdown signal ignored", extra=extra)

    def kill_workers(self, sig: int) -> None:
        """Note what gunicorn does during a shutdown: after SIGQUIT it hurries, SIGKILL ends the time."""
        if self._shutdown.is_running and sig == signal.SIGQUIT:
            self._shutdown.is_quick = True
        if self._shutdown.is_running and sig == signal.SIGKILL:
            # gunicorn sends it in any case: only a worker that is still there has missed the deadline.
            self.reap_workers()
            if self.WORKERS:
                self._shutdown.cut_drain(len(self.WORKERS), sum(each.count for each in self._in_flight))
        super().kill_workers(sig)

    def stop(self, graceful: bool = True) -> None:
        """Let the workers finish; return when all are gone: none may write while the queue is drained."""
        if not self._shutdown.is_running:
            super().stop(graceful)
            return
        started = monotonic_seconds()
        self._in_flight = [worker.in_flight for worker in self.WORKERS.values()]
        seconds = self._shutdown.begin_drain(sum(each.count for each in self._in_flight))
        self.cfg.set("graceful_timeout", seconds)
        is_patient = graceful and not self._shutdown.is_quick
        failure = failure_of(partial(super().stop, is_patient))
        if failure is not None:
            logger.error("Stopping the workers failed", exc_info=failure)
            self._shutdown.reasons.append("stopping_workers_failed")
            super().kill_workers(signal.SIGKILL)
        self._reap_killed()
        if not self._shutdown.reasons:
            drained = sum(each.drained_count for each in self._in_flight)
            self._shutdown.end_drain(drained, monotonic_seconds() - started)

    def _reap_killed(self) -> None:
        deadline = monotonic_seconds() + REAP_SECONDS
        self.reap_workers()
        while self.WORKERS and (remaining := deadline - monotonic_seconds()) > 0:
            self.wait_for_signals(timeout=remaining)  # SIGCHLD is one
            self.reap_workers()

    def finish(self) -> None:
        """Take steps 4 and 5, when gunicorn is about to exit.

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
        signal.setitimer(signal.ITIMER_REAL, 0)  # too late for the watchdog to change the exit code
        if code != 0:
            raise SystemExit(code)

    def _drain_in_child(self) -> None:
        """Drain the queue in a child process, which is killed when it hangs.

        A thread could not be ended: it would hold the process for as long as the server that it waits for
        hangs.
        """
        deadline = monotonic_seconds() + self._shutdown.queue_drain_seconds()
        child = get_context("fork").Process(target=self._run_in_child, args=(deadline,))
        child.start()
        while child.exitcode is None and monotonic_seconds() < deadline + CHILD_GRACE_SECONDS:
            child.join(CHILD_POLL_SECONDS)
            self._report_ignored()
        if child.exitcode is None:
            child.kill()
            logger.warning("DLQ drain abandoned at its deadline", extra={"timed_out": True})
        elif child.exitcode != 0:
            self._shutdown.reasons.append("closing_resources_failed")

    def _run_in_child(self, deadline: float) -> None:
        for number in (*STOPPING, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGALRM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        failure = failure_of(partial(self._drain_queue, deadline))
        if failure is not None:
            logger.error("Closing resources failed", exc_info=failure)
        logging.shutdown()
        os._exit(0 if failure is None else 1)  # what is registered at exit belongs to the parent
