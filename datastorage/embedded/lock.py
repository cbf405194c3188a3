"""One server per data directory, and no orphan in it.

The lock is an ``flock`` on a file whose descriptor the server and all its children inherit. It is free
exactly when the last of them is gone, whoever died how, so neither a crash nor a reused pid can make it lie.
The file holds two pids for people and for finding orphans: the server's and its starter's.
"""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.process_table import descendants, running_processes
from datastorage.platform.clock import monotonic_seconds

ORPHAN_DEADLINE_SECONDS = 30.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class DirectoryLock:
    """The lock of one data directory.

    Attributes:
        path: the lock file.
        stop_signal: asks an orphaned server to end.
    """

    path: Path
    stop_signal: signal.Signals

    @contextlib.contextmanager
    def claim(self, server_name: str) -> Iterator[int]:
        """Hold the lock; yields the descriptor a server has to inherit to go on holding it.

        An orphan called ``server_name``, whose starter died without taking it along, is ended first.

        Raises:
            EmbeddedServerError: the directory is in use; the message names the process.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _try_lock(descriptor):
                self._inherit(descriptor, server_name)
            os.ftruncate(descriptor, 0)
            yield descriptor
        finally:
            os.close(descriptor)

    def _inherit(self, descriptor: int, server_name: str) -> None:
        server, starter = _read_pids(descriptor)
        running = running_processes()
        if starter is None or (starter in running and server in running):
            raise self._in_use(server)
        if server in running and running[server].name == server_name:
            _end(server, self.stop_signal)
        if not wait_until(lambda: _try_lock(descriptor), ORPHAN_DEADLINE_SECONDS):
            raise self._in_use(server)

    def _in_use(self, server: int | None) -> EmbeddedServerError:
        holder = f"process {server}" if server else "a process that is still starting its server"
        return EmbeddedServerError(f"data directory {self.path.parent} is in use by {holder}")

    def record(self, descriptor: int, server: int) -> None:
        """Write down who runs: ``server``, started by this process."""
        os.pwrite(descriptor, f"{server} {os.getpid()}\n".encode(), 0)

    def is_free(self) -> bool:
        """Tell whether no process of a server is left in the directory."""
        descriptor = os.open(self.path, os.O_RDWR)
        try:
            return _try_lock(descriptor)
        finally:
            os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_pids(descriptor: int) -> tuple[int | None, int | None]:
    pids = os.pread(descriptor, 64, 0).split()
    return (int(pids[0]), int(pids[1])) if len(pids) == 2 else (None, None)  # noqa: PLR2004 - a pair


def _end(server: int, stop_signal: signal.Signals) -> None:
    """Ask an orphan to end; it may have been frozen by the test that was killed."""
    for pid in [server, *descendants(server)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    with contextlib.suppress(ProcessLookupError):
        os.kill(server, stop_signal)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask ``condition`` until it holds or ``seconds`` are over; return whether it holds."""
    deadline = monotonic_seconds() + seconds
    while not condition():
        if monotonic_seconds() > deadline:
            return False
        time.sleep(_POLL_SECONDS)  # strangers' processes: there is nothing to wait on
    return True
