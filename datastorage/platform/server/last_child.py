"""Work in a child process that is left behind at its deadline: a hanging server must not hang the end.

A thread could not be ended: it would hold the process, or the lock of a log handler, for as long as
the server it waits for does. A process is killed, and the kernel closes its connections.
"""

import logging
import os
import signal
import time
from collections.abc import Callable
from typing import Final

from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.failures import failure_of

logger = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.02
_FAILED: Final = 1

_QUIET = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def run_in_child(work: Callable[[], None], *, deadline: float, progress: Callable[[], None]) -> bool | None:
    """Run ``work`` in a forked process.

    Args:
        work: must not need threads of this process: a fork has none of them.
        deadline: when the child is killed, in seconds of the monotonic clock.
        progress: called many times while waiting.

    Returns:
        Whether ``work`` returned; ``None`` when it was killed.
    """
    pid = os.fork()
    if pid == 0:
        _be_the_child(work)
    while monotonic_seconds() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        progress()
        time.sleep(_POLL_SECONDS)  # waitpid knows no deadline, and ``progress`` is called meanwhile
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _be_the_child(work: Callable[[], None]) -> None:
    for number in _QUIET:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code = _FAILED
    try:
        failure = failure_of(work)
        if failure is None:
            code = 0
        else:
            logger.error("Work at the end of the process failed", exc_info=failure)
    finally:
        logging.shutdown()
        os._exit(code)  # what is registered at exit belongs to the parent
