"""One server per data directory, and no orphan in it.

The lock is an ``flock`` on a file whose descriptor the server and all its children inherit. It is free
exactly when the last of them is gone, however it ended: neither a crash nor a reused pid can leave it wrong.
The file names two pids, for people and for finding orphans: the server's and its starter's.
"""

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from datastorage.embedded.errors import EmbeddedServerError
from datastorage.platform.clock import monotonic_seconds

ORPHAN_DEADLINE_SECONDS = 30.0
_POLL_SECONDS = 0.02


@contextmanager
def claim(path: Path, server_name: str, stop_signal: signal.Signals) -> Iterator[int]:
    """Hold the lock at ``path``; yields the descriptor that a server inherits to go on holding it.

    An orphan called ``server_name``, left behind by a starter that died, is asked to end first.

    Raises:
        EmbeddedServerError: the directory is in use; the message names the process.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _try_lock(descriptor):
            server, starter = _read_pids(descriptor)
            is_orphan = starter is not None and not (find_process(starter) and find_process(server))
            if is_orphan:
                _end_orphan(find_process(server), server_name, stop_signal)
            if not is_orphan or not wait_until(lambda: _try_lock(descriptor), ORPHAN_DEADLINE_SECONDS):
                holder = f"process {server}" if server else "a process that is still starting its server"
                raise EmbeddedServerError(f"data directory {path.parent} is in use by {holder}")
        os.ftruncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _read_pids(descriptor: int) -> tuple[int | None, int | None]:
    match os.pread(descriptor, 64, 0).split():
        case [server, starter]:
            return int(server), int(starter)
        case _:
            return None, None


def find_process(pid: int | None) -> psutil.Process | None:
    """Return the process, or None when it has ended; a zombie has, it holds nothing any more."""
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def _end_orphan(orphan: psutil.Process | None, server_name: str, stop_signal: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        if orphan is not None and orphan.name() == server_name:
            signal_tree(orphan.pid, signal.SIGCONT)  # its starter may have frozen it
            orphan.send_signal(stop_signal)


def signal_tree(pid: int, number: signal.Signals) -> None:
    """Send a signal to a server and everything below it; nothing happens when the server has ended.

    By parentage and not by process group: every PostgreSQL backend makes itself the leader of its own.
    """
    with suppress(psutil.NoSuchProcess):
        server = psutil.Process(pid)
        server.suspend()  # so that it starts no more children, and does not react to the death of some
        for process in (*server.children(recursive=True), server):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


def record(descriptor: int, server: int) -> None:
    """Write into a claimed lock which server runs; this process is its starter."""
    os.pwrite(descriptor, f"{server} {os.getpid()}\n".encode(), 0)


def is_free(path: Path) -> bool:
    """Tell whether no process of a server is left in the directory of this lock."""
    with path.open("r+b") as file:
        return _try_lock(file.fileno())


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask ``condition`` until it holds or ``seconds`` are over; return whether it holds."""
    deadline = monotonic_seconds() + seconds
    while not condition():
        if monotonic_seconds() > deadline:
            return False
        time.sleep(_POLL_SECONDS)  # no process here tells us when the condition changes
    return True
