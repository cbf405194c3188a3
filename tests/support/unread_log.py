"""A service whose standard output is a pipe that is read when the test wants to."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from threading import Thread
from typing import Any

from tests.support.exposition import Scrape
from tests.support.service import ServiceProcess

SHUTDOWN_SECONDS = 39
"""How long a shutdown may take, whether the log is read or not."""


LONG_PATH = "/" + "x" * 3500
"""Its access line fills the buffers with few requests; a pipe still takes it whole."""


CONNECTIONS = 16


class Unread(ServiceProcess):
    """The service at one end of a pipe; the test holds the other, and reads when it wants to."""

    asked = 0
    """Requests with a long access line."""

    def launch(self) -> None:
        (self.directory / "runtime").mkdir(parents=True, exist_ok=True)
        self.reader, writing = os.pipe()
        self._received = b""
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, *self.arguments], env=self._environ, stdout=writing, start_new_session=True
        )
        os.close(writing)

    def fill(self) -> None:
        """Ask until there is no room for further access lines."""
        with ThreadPoolExecutor(8) as clients:
            while not self.dropped("access"):
                statuses = list(clients.map(lambda _: self.api.get(LONG_PATH).status, range(50)))
                assert set(statuses) == {404}
                self.asked += len(statuses)

    @property
    def says_blocked(self) -> bool:
        """Whether its health says that the log is not read.

        Each worker speaks for itself, and one that has nothing to write does not know: so several
        connections ask.
        """
        with ExitStack() as stack:
            clients = [stack.enter_context(closing(self.api.another())) for _ in range(CONNECTIONS)]
            return any(json.loads(each.get("/health").body).get("log") == "blocked" for each in clients)

    def read(self) -> None:
        """Read from now on, until the last process is gone."""
        self._reading = Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        while received := os.read(self.reader, 1 << 16):
            self._received += received

    @property
    def log(self) -> str:
        return self._received.decode()

    def all_lines(self) -> list[dict[str, Any]]:
        """Wait for the end of the log and return its lines."""
        self._reading.join(SHUTDOWN_SECONDS)
        assert not self._reading.is_alive()
        return self.log_lines

    def dropped(self, kind: str) -> float:
        return Scrape(self.metrics_api).value("log_lines_dropped_total", kind=kind)
