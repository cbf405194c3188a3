"""The life of a server process: start, wait until it answers, stop, kill, freeze.

Start servers from the main thread, or from one that outlives them: Linux sends the parent-death signal when
the *thread* that started the child ends.
"""

import contextlib
import os
import pwd
import secrets
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from datastorage.embedded import launch
from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.launch import RunAs
from datastorage.embedded.lock import DirectoryLock, wait_until
from datastorage.embedded.process_table import descendants
from datastorage.platform.clock import monotonic_seconds

HOST = "127.0.0.1"
READY_DEADLINE_SECONDS = 60.0
STOP_DEADLINE_SECONDS = 60.0
KILL_DEADLINE_SECONDS = 10.0
_POLL_SECONDS = 0.02
_LOG_LINES = 20


class ServerProcess:
    """One server on one data directory; may be started again after it ended.

    Args:
        data_dir: absolute; created with ``server.log`` and ``server.lock`` in it.
        stop_signal: what asks the server for an orderly end.
    """

    def __init__(self, data_dir: Path, stop_signal: signal.Signals) -> None:
        self.log_path = data_dir / "server.log"
        self._lock = DirectoryLock(data_dir / "server.lock", stop_signal)
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def is_running(self) -> bool:
        """Whether the server was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the running server.

        Raises:
            EmbeddedServerError: it is not running.
        """
        return self._running().pid

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise EmbeddedServerError(f"no server is running in {self.log_path.parent}")
        return self._process

    def claim(self, server_name: str) -> AbstractContextManager[int]:
        """Take the data directory for this object; see ``DirectoryLock.claim``."""
        # Others may pass through, nothing in it is readable to them: the server may have to be nobody.
        self.log_path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        return self._lock.claim(server_name)

    def launch(self, command: Sequence[str], lock: int, run_as: RunAs = RunAs.SELF) -> None:
        """Start ``command``, which from then on holds ``lock`` (see ``claim``)."""
        if self._process is not None:
            self._process.wait()  # whoever holds the lock has no living predecessor, but maybe a zombie
        with _open_log(self.log_path) as log:
            self._log_start = os.fstat(log).st_size
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                launch_command(command, run_as, self._stop_signal),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                pass_fds=[lock],
                start_new_session=True,
            )
        self._lock.record(lock, self._process.pid)

    def wait_until_ready(self, is_ready: Callable[[], bool]) -> None:
        """Return as soon as ``is_ready``; a server that is not ready in time is killed.

        Raises:
            EmbeddedServerError: it ended or took too long; the message has the last lines of its log.
        """
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.kill)
            deadline = monotonic_seconds() + READY_DEADLINE_SECONDS
            while not is_ready():
                self._wait_a_little()
                if monotonic_seconds() > deadline:
                    raise self._failure(f"did not answer within {READY_DEADLINE_SECONDS:.0f} s")
            on_failure.pop_all()

    def _wait_a_little(self) -> None:
        """Give the server some time, and notice if it ends instead."""
        if self._process is None:
            raise EmbeddedServerError(f"no server was launched in {self.log_path.parent}")
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self._process.wait(_POLL_SECONDS)
            raise self._failure(f"ended with status {status}")

    def _failure(self, what: str) -> EmbeddedServerError:
        with self.log_path.open(errors="replace") as log:
            log.seek(self._log_start)
            last = "".join(deque(log, maxlen=_LOG_LINES)).rstrip()
        return EmbeddedServerError(
            f"the server in {self.log_path.parent} {what}; {self.log_path} says:\n{last}"
        )

    def stop(self) -> None:
        """End the server in good order, by force after a deadline; nothing happens when it is not running."""
        if self._process is None or not self.is_running:
            return
        self._thaw(self._process)
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(STOP_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL the server and all its children, as a power cut would; returns when all are gone.

        Raises:
            EmbeddedServerError: some of them do not go.
        """
        if self._process is None:
            return
        if self.is_running:
            self._freeze(self._process)  # nobody forks or cleans up while the others die
            _signal_children(self._process, signal.SIGKILL)
            self._process.kill()
            self._process.wait()
        if not wait_until(self._lock.is_free, KILL_DEADLINE_SECONDS):
            raise EmbeddedServerError(f"processes are left in {self.log_path.parent} after SIGKILL")

    def freeze(self) -> None:
        """SIGSTOP the server and all its children: connections stay open and get no answer.

        Raises:
            EmbeddedServerError: it is not running.
        """
        self._freeze(self._running())

    def _freeze(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGSTOP)  # first, so that no child appears behind our back
        _signal_children(process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on.

        Raises:
            EmbeddedServerError: it is not running.
        """
        self._thaw(self._running())

    def _thaw(self, process: subprocess.Popen[bytes]) -> None:
        _signal_children(process, signal.SIGCONT)
        process.send_signal(signal.SIGCONT)


def _signal_children(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # Not by process group: every PostgreSQL backend makes itself the leader of its own.
    for pid in descendants(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@contextlib.contextmanager
def _open_log(path: Path) -> Iterator[int]:
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        yield log
    finally:
        os.close(log)


def launch_command(command: Sequence[str], run_as: RunAs, death_signal: signal.Signals) -> list[str]:
    """Return what to execute so that ``command`` runs as ``run_as`` and ends with this process."""
    script = [sys.executable, "-I", "-S", launch.__file__]
    return [*script, run_as, str(int(death_signal)), str(os.getpid()), *command]


def best_run_as(binary: Path) -> RunAs:
    """Choose how a server that refuses root can run here, by trying it with ``binary --version``."""
    if os.geteuid() != 0:
        return RunAs.SELF
    attempt = subprocess.run(  # noqa: S603 - our own command
        launch_command([str(binary), "--version"], RunAs.MAPPED, signal.SIGKILL),
        check=False,
        capture_output=True,
        cwd="/",
    )
    return RunAs.MAPPED if attempt.returncode == 0 else RunAs.NOBODY


def owner_of(run_as: RunAs) -> int:
    """Return the uid that has to own the files of a server."""
    return pwd.getpwnam("nobody").pw_uid if run_as is RunAs.NOBODY else os.geteuid()


def write_private(path: Path, text: str, owner: int) -> None:
    """Write a file that only ``owner`` (and root) can read, in one step: never half of it."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - of a descriptor
        file.write(text)
    if owner != os.geteuid():
        os.chown(draft, owner, -1)
    draft.replace(path)


def new_password() -> str:
    """Return a password that is safe in URLs and config files."""
    return secrets.token_urlsafe(24)


def port_to_use(wanted: int | None) -> int:
    """Return ``wanted``, or a free port when it is None.

    Raises:
        EmbeddedServerError: somebody listens on the wanted port.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted or 0))
        except OSError as error:
            raise EmbeddedServerError(f"port {wanted} on {HOST} is in use: {error.strerror}") from error
        return int(probe.getsockname()[1])
