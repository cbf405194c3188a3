"""One shutdown, watched: who asked what how long after the signal, and what came back."""

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.service import ServiceProcess

TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Reply:
    """One request and how it ended."""

    watched: "Watched" = field(repr=False)
    sent: float
    took_seconds: float
    status: int | None = None
    body: Any = None
    connection: str | None = None
    error: str | None = None

    @property
    def sent_at(self) -> float:
        """Seconds from the signal to the request, negative when it was sent before."""
        return self.sent - self.watched.began


@dataclass
class Watched:
    """A service that gets a signal; everything is dated from that moment.

    Args:
        service: running.
    """

    service: ServiceProcess
    began: float = field(default_factory=time.monotonic)
    exit_code: int | None = None
    ended_at: float = 0.0

    def signal(self, number: signal.Signals, *, everybody: bool = False) -> None:
        """Send the signal that begins it, to the arbiter or to the whole session as a terminal does."""
        self.began = time.monotonic()
        if everybody:
            os.killpg(self.service.pid, number)
        else:
            self.service.signal(number)

    @property
    def elapsed(self) -> float:
        """Seconds since the signal."""
        return time.monotonic() - self.began

    def wait_until(self, seconds: float) -> None:
        """Return that long after the signal."""
        while (left := seconds - self.elapsed) > 0:
            time.sleep(left)

    def end(self) -> None:
        """Wait for the process to exit."""
        # Popen.wait would look up at longer and longer intervals.
        self.exit_code = self.service.wait(90)
        self.ended_at = self.elapsed

    def ask(self, path: str, body: object = None, *, port: int | None = None) -> Reply:
        """Send one request on a connection of its own."""
        connection = self.connect(port)
        try:
            return self.ask_on(connection, path, body)
        finally:
            connection.close()

    def connect(self, port: int | None = None) -> http.client.HTTPConnection:
        """Return a connection that opens with its first request."""
        return http.client.HTTPConnection("127.0.0.1", port or self.service.port, timeout=TIMEOUT_SECONDS)

    def ask_on(self, connection: http.client.HTTPConnection, path: str, body: object = None) -> Reply:
        """Send one request on a given connection."""
        sent = time.monotonic()
        content = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            connection.request("GET" if body is None else "POST", path, content, headers)
            response = connection.getresponse()
            content_type = response.headers.get("Content-Type", "")
            raw = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return Reply(self, sent, time.monotonic() - sent, error=type(error).__name__)
        return Reply(
            self,
            sent,
            time.monotonic() - sent,
            response.status,
            json.loads(raw) if "json" in content_type else raw,
            response.headers.get("Connection"),
        )

    def ask_every(
        self, seconds: float, path: str, *, until: float, body: Callable[[], object] | None = None
    ) -> list[Reply]:
        """Ask at a steady pace, each time on a new connection."""
        replies: list[Reply] = []
        while self.elapsed < until:
            begun = self.elapsed
            replies.append(self.ask(path, body() if body else None))
            self.wait_until(begun + seconds)
        return replies

    def ask_on_one(
        self, seconds: float, path: str, *, until: float, body: Callable[[], object]
    ) -> list[Reply]:
        """Ask at a steady pace and keep the connection for as long as the service does."""
        connection = self.connect()
        replies: list[Reply] = []
        while self.elapsed < until:
            begun = self.elapsed
            replies.append(self.ask_on(connection, path, body()))
            self.wait_until(begun + seconds)
        connection.close()
        return replies

    def said(self, message: str) -> list[dict[str, Any]]:
        """Return the log lines with this message."""
        return [line for line in self.service.log_lines if line["msg"] == message]

    def said_at(self, message: str) -> float:
        """Return when the one line with this message was written, as the service dates it."""
        [line] = self.said(message)
        return float(line["elapsed_seconds"])


def listens(port: int) -> bool:
    """Tell whether a connection to ``port`` is accepted."""
    with socket.socket() as probe:
        probe.settimeout(TIMEOUT_SECONDS)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def kill(pid: int) -> None:
    """End a process without a word."""
    os.kill(pid, signal.SIGKILL)
