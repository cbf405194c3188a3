"""``datastorage dev`` as a person at a terminal has it."""

import os
import re
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from tests.support.http import Api
from tests.support.processes import descendants
from tests.support.service import environment_of_a_service, free_port
from tests.support.waiting import eventually

READY_SECONDS = 90
END_SECONDS = 60
READY_TEXT = "Ctrl-C stops everything."


class DevProcess:
    """One ``datastorage dev`` with ports of its own.

    Args:
        data: its data directory; the output is kept beside it.
        python: what runs it.
        options: for ``Popen``.
    """

    def __init__(self, data: Path, *, python: Path | None = None, **options: Any) -> None:
        self.port, self.metrics_port = free_port(), free_port()
        self.api = Api(f"http://127.0.0.1:{self.port}")
        self.data = data
        self._python = python or Path(sys.executable)
        self._output = data.with_name(f"{data.name}-{self.port}.log")
        self._options = {"env": environment_of_a_service()} | options
        self._process: subprocess.Popen[Any] | None = None

    def launch(self, **changed: str) -> Self:
        """Start it and return at once; keywords replace options, ``port="80"`` for example."""
        options = {"port": self.port, "metrics-port": self.metrics_port, "data": self.data} | changed
        arguments = [f"--{name}={value}" for name, value in options.items()]
        with self._output.open("wb") as output:
            options_of_popen: dict[str, Any] = {
                "stdout": output,
                "stderr": subprocess.STDOUT,
                "start_new_session": True,
            }
            command = [str(self._python), "-m", "datastorage", "dev", *arguments]
            self._process = subprocess.Popen(command, **options_of_popen, **self._options)  # noqa: S603 - our own
        return self

    def start(self) -> Self:
        """Start it and return when it tells the user what to do next."""
        self.launch()
        self.wait_for(READY_TEXT)
        return self

    def wait_for(self, text: str) -> None:
        """Return as soon as it has printed ``text``."""
        assert self._process
        process = self._process
        eventually(lambda: text in self.output or process.poll() is not None, READY_SECONDS)
        assert text in self.output, self.output

    @property
    def output(self) -> str:
        """Everything it has printed."""
        return self._output.read_text(encoding="utf-8")

    @property
    def curl_commands(self) -> list[str]:
        """The commands it suggests."""
        return re.findall(r"^\s*(curl .*)$", self.output, re.MULTILINE)

    def children(self) -> "Processes":
        """Return every process it has started, and those they have started."""
        assert self._process
        return Processes(descendants(self._process.pid))

    @property
    def service_pid(self) -> int:
        """Process id of the arbiter, its one child that is Python."""
        assert self._process
        children = psutil.Process(self._process.pid).children()
        [pid] = [child.pid for child in children if child.name().startswith("python")]
        return pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command alone."""
        assert self._process
        self._process.send_signal(number)

    def wait(self) -> int:
        """Return the exit code."""
        assert self._process
        return self._process.wait(END_SECONDS)

    def stop(self) -> int:
        """SIGTERM, and wait for the end."""
        self.api.close()
        self.signal(signal.SIGTERM)
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.api.close()
        if self._process and self._process.poll() is None:
            self.stop()


class Processes:
    """Processes that are alive now; their pids are not mistaken for those of later ones (Linux)."""

    def __init__(self, pids: list[int]) -> None:
        self._descriptors = []
        for pid in pids:
            with suppress(ProcessLookupError):
                self._descriptors.append(os.pidfd_open(pid))

    def __len__(self) -> int:
        return len(self._descriptors)

    def have_ended(self, timeout_seconds: float = END_SECONDS) -> bool:
        """Wait for all of them; may be asked once."""
        try:
            return all(select.select([each], [], [], timeout_seconds)[0] for each in self._descriptors)
        finally:
            for each in self._descriptors:
                os.close(each)
