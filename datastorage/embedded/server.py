"""A server as a child process: started, awaited, stopped, killed or frozen, and started again.

Start servers from the main thread, or from one that outlives them: Linux sends the parent-death signal when
the *thread* that started the child ends.
"""

import importlib.util
import os
import secrets
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

from datastorage.embedded.errors import EmbeddedServerError
from datastorage.embedded.launch import CLEAN_ENVIRONMENT, RunAs, launch_command
from datastorage.embedded.lock import claim, is_free, record, signal_tree, wait_until

HOST = "127.0.0.1"
READY_DEADLINE_SECONDS = 60.0
STOP_DEADLINE_SECONDS = 60.0
KILL_DEADLINE_SECONDS = 10.0


class EmbeddedServer(ABC):
    """A server on 127.0.0.1 whose data survive in ``data_dir``; methods raise ``EmbeddedServerError``.

    Args:
        data_dir: created when missing; holds the data, the password and ``server.log``.
        port: TCP port; None takes a free one at each start.
        settings: directives of the server's config file that win over the defaults.

    Attributes:
        port: of the last start; 0 before the first.
        log_path: what the server has printed, in all its runs.
        password_file: generated at the first start.
    """

    _stop_signal: ClassVar[signal.Signals]
    """Asks the server for an orderly end."""

    def __init__(
        self, data_dir: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.port = 0
        self.log_path = self.data_dir / "server.log"
        self.password_file = self.data_dir / "password"
        self._lock_path = self.data_dir / "server.lock"
        self._wanted_port = port
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def start(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            EmbeddedServerError: no binaries, port or directory in use, or the server failed.
            OSError: the data directory cannot be written.
        """
        binary = self._find_binary()
        # Other users may pass through, nothing in it is readable to them: the server may run as nobody.
        self.data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        with claim(self._lock_path, binary.name, self._stop_signal) as lock:
            self.port = port_to_use(self._wanted_port)
            run_as = self._choose_user(binary)
            command = self._prepare(binary, run_as, lock)
            process = self._launch([*CLEAN_ENVIRONMENT, *command], run_as, lock)
        try:
            self._wait_until_ready(process)
        except BaseException:
            self.kill()
            raise
        return self

    @abstractmethod
    def _find_binary(self) -> Path:
        """Return the program of the server; the error says what to install."""

    def _choose_user(self, _binary: Path) -> RunAs:
        """Return the user of the server; only PostgreSQL refuses to run as root."""
        return RunAs.SELF

    @abstractmethod
    def _prepare(self, binary: Path, run_as: RunAs, lock: int) -> Sequence[str]:
        """Write the configuration; return the command, which will hold ``lock``."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Tell whether the server answers."""

    def _launch(self, command: Sequence[str], run_as: RunAs, lock: int) -> subprocess.Popen[bytes]:
        if self._process is not None:
            self._process.wait()  # the lock is ours, so it has ended, but it may be a zombie
        self.log_path.touch(mode=0o600)
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            process = subprocess.Popen(
                launch_command(command, run_as, self._stop_signal),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                pass_fds=[lock],
                start_new_session=True,
            )
        self._process = process
        record(lock, process.pid)
        return process

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        is_decided = wait_until(
            lambda: process.poll() is not None or self._is_ready(), READY_DEADLINE_SECONDS
        )
        if process.returncode is not None:
            raise self._failure(f"ended with status {process.returncode}")
        if not is_decided:
            raise self._failure(f"did not answer within {READY_DEADLINE_SECONDS:.0f} s")

    def _failure(self, what: str) -> EmbeddedServerError:
        with self.log_path.open(errors="replace") as log:
            log.seek(self._log_start)
            last = "".join(deque(log, maxlen=20)).rstrip()
        return EmbeddedServerError(f"the server in {self.data_dir} {what}; {self.log_path} says:\n{last}")

    def stop(self) -> None:
        """End the server in good order, by force after a deadline; nothing happens when it is not running."""
        if self._process is None or not self.is_running:
            return
        signal_tree(self._process.pid, signal.SIGCONT)  # a frozen server would not hear the next one
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(STOP_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL the server and all its children, as a power cut would; returns when all are gone."""
        if self._process is None:
            return
        if self.is_running:
            signal_tree(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if not wait_until(lambda: is_free(self._lock_path), KILL_DEADLINE_SECONDS):
            raise EmbeddedServerError(f"processes are left in {self.data_dir} after SIGKILL")

    def freeze(self) -> None:
        """SIGSTOP the server and all its children: connections stay open and get no answer."""
        signal_tree(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        signal_tree(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Whether the server was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the running server, the parent of the others if it has several."""
        if self._process is None or not self.is_running:
            raise EmbeddedServerError(f"no server is running in {self.data_dir}")
        return self._process.pid

    @property
    def password(self) -> str:
        """Password of the superuser or the default user."""
        if not self.password_file.exists():
            raise EmbeddedServerError(f"{self.password_file} is missing: without it no client can log in")
        return self.password_file.read_text(encoding="utf-8")


def write_private(path: Path, text: str, owner: int) -> None:
    """Write a file that only ``owner`` (and root) can read, in one step: never half of it."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    os.chown(draft, owner, -1)
    draft.replace(path)


def folders_of(package: str) -> list[Path]:
    """Return where the files of an installed package are, without importing it."""
    spec = importlib.util.find_spec(package)
    return [Path(each) for each in (spec.submodule_search_locations or [])] if spec else []


def new_password() -> str:
    """Return a password that is safe in URLs and config files."""
    return secrets.token_urlsafe(24)


def port_to_use(wanted: int | None) -> int:
    """Return ``wanted``, or a free port when it is None; the error says that another process listens."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted or 0))
        except OSError as error:
            raise EmbeddedServerError(f"port {wanted} on {HOST} is in use: {error.strerror}") from error
        return int(probe.getsockname()[1])
