"""Ends conversations with a server that neither answers nor hangs up.

libpq has no read timeout: a frozen server, or a network that swallows packets behind a proxy, can hold a
thread for ever, whatever ``statement_timeout`` says. The watchdog shuts the socket down at a deadline, and
the driver reports a lost connection like any other.
"""

import heapq
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from threading import Condition, Thread
from typing import Protocol

import psycopg

from datastorage.platform.clock import monotonic_seconds


class HasSocket(Protocol):
    """A driver's connection."""

    def fileno(self) -> int:
        """Return the descriptor of its socket."""


class Watchdog:
    """One thread that watches every conversation of a process; the first one starts it.

    A conversation that ends in time costs two dictionary operations and rarely wakes the thread.
    """

    def __init__(self) -> None:
        self._condition = Condition()
        self._watched: dict[int, HasSocket] = {}
        self._deadlines: list[tuple[float, int]] = []
        self._numbers = count()
        self._thread: Thread | None = None
        self._is_closed = False

    @contextmanager
    def watching(self, connection: HasSocket, seconds: float) -> Iterator[None]:
        """Cut ``connection`` when the block takes longer than ``seconds``."""
        number = self._watch(connection, monotonic_seconds() + seconds)
        try:
            yield
        finally:
            with self._condition:
                self._watched.pop(number, None)

    def _watch(self, connection: HasSocket, deadline: float) -> int:
        with self._condition:
            number = next(self._numbers)
            self._watched[number] = connection
            heapq.heappush(self._deadlines, (deadline, number))
            if self._thread is None:
                self._thread = Thread(target=self._run, name="db-watchdog", daemon=True)
                self._thread.start()
            elif self._deadlines[0][1] == number:
                self._condition.notify()
            return number

    def _run(self) -> None:
        with self._condition:
            while not self._is_closed:
                self._forget_finished()
                if not self._deadlines:
                    self._condition.wait()
                    continue
                deadline, number = self._deadlines[0]
                remaining = deadline - monotonic_seconds()
                if remaining > 0:
                    self._condition.wait(remaining)
                    continue
                heapq.heappop(self._deadlines)
                # Under the lock, so that the connection cannot go back to its pool meanwhile.
                cut(self._watched.pop(number))

    def _forget_finished(self) -> None:
        while self._deadlines and self._deadlines[0][1] not in self._watched:
            heapq.heappop(self._deadlines)

    def close(self) -> None:
        """End the thread; conversations go on unwatched."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()


def cut(connection: HasSocket) -> None:
    """Shut the socket of ``connection`` down; a thread that waits for an answer is told that it was lost."""
    # A copy of the descriptor: closing the original is the driver's business.
    with (
        suppress(OSError, ValueError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as copy,
    ):
        copy.shutdown(socket.SHUT_RDWR)
