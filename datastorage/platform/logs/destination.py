"""Where log entries go: one handler at the root, for the service, its libraries and gunicorn."""

import logging
import os
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock
from time import time
from typing import Any, Final, Protocol, TextIO

from gunicorn import glogging

from datastorage.platform.logs.context import request_context
from datastorage.platform.logs.lines import ConsoleLines, Entry, JsonLines

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}

MOST_WAITING: Final = 1000
"""Lines. When nobody reads them any more, requests must wait rather than fill the memory."""


class LoggingSettings(Protocol):
    """The ``logging`` group of the settings."""

    @property
    def level(self) -> str:
        """One of debug, info, warn, error."""

    @property
    def format(self) -> str:
        """``json`` or ``console``."""


def configure_logging(
    settings: LoggingSettings, version: str, pod: str, stream: TextIO | None = None
) -> logging.Handler:
    """Send everything that is logged, warnings included, through one handler; return it.

    May be called again, after a fork or with new settings: the handler is replaced, not doubled.

    Args:
        settings: level and format.
        version: of the service.
        pod: name of the pod, or of the host outside Kubernetes.
        stream: standard output by default.
    """
    formatter = {"json": JsonLines, "console": ConsoleLines}[settings.format.lower()]
    identity = {"service": "datastorage", "version": version, "pod": pod}
    handler = LineHandler(sys.stdout if stream is None else stream, formatter(identity))
    root = logging.getLogger()
    for existing in list(root.handlers):
        # A plain StreamHandler is what logging.basicConfig leaves; it would print each entry again.
        if type(existing) in {LineHandler, logging.StreamHandler}:
            root.removeHandler(existing)
    root.addHandler(handler)
    root.setLevel(LEVELS[settings.level.lower()])
    _route_gunicorn_through_root()
    logging.captureWarnings(capture=True)
    # No line names them, and to find them out is a third of what a record costs.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    return handler


def _route_gunicorn_through_root() -> None:
    for name in ("gunicorn.error", "gunicorn.access"):
        routed = logging.getLogger(name)
        routed.handlers.clear()
        routed.propagate = True
        routed.setLevel(logging.NOTSET)


def log_lean(
    logger: logging.Logger, level: int, message: str, fields: Mapping[str, object], *, waits: bool = False
) -> None:
    """Log what every request logs, without a record of where it was logged: that is two thirds of the cost.

    Args:
        logger: in whose name.
        level: number of the level.
        message: a constant.
        fields: further members of the line.
        waits: whether to leave it for the next line or ``write_waiting_lines``, which then makes it, too.
    """
    if not logger.isEnabledFor(level):
        return
    match logging.getLogger().handlers:
        case [LineHandler() as handler]:
            entry = Entry(time(), level, message, logger.name, fields, request_context.get())
            with suppress(OSError, ValueError):  # nobody reads the lines any more
                handler.say(entry, waits=waits)
        case _:
            # Somebody else listens, too.
            logger.log(level, message, extra=fields)


class GunicornLogger(glogging.Logger):  # type: ignore[misc] # gunicorn has no annotations
    """For gunicorn's ``logger_class``: its own handlers come back at start and on reload, and go again."""

    def setup(self, cfg: Any) -> None:
        """Read gunicorn's settings, but write through the handler of ``configure_logging``."""
        super().setup(cfg)
        _route_gunicorn_through_root()


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes the lines. It reports its own failures as a line too.

    A thread that writes lets another run. With a lock around it, as in the standard library, one that logs
    then waits for a thread that waits for the interpreter. Here it leaves its line to the thread that is
    writing, which takes all that wait by one call of the system.
    """

    def __init__(self, stream: TextIO, formatter: JsonLines) -> None:
        super().__init__(stream)
        self.setFormatter(formatter)
        self._formatter = formatter
        self._descriptor = _descriptor(stream)
        self._waiting: deque[str | Entry] = deque()
        self._turn = Lock()

    def handle(self, record: logging.LogRecord) -> bool:
        """Write without the lock of the standard library."""
        passes = bool(self.filter(record))
        if passes:
            self.emit(record)
        return passes

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of ``record``."""
        try:
            self.say(self.format(record))
        except Exception:  # noqa: BLE001 - whatever it is, a line must not end a request
            self.handleError(record)

    def say(self, line: str | Entry, *, waits: bool = False) -> None:
        """Write a line, or leave it for the next one to take along."""
        self._waiting.append(line)
        if not waits or len(self._waiting) > MOST_WAITING:
            self.write_waiting()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Say where the entry came from that could not be written.

        The handler of the standard library would print its arguments to standard error, secrets and all.
        """
        with suppress(OSError, ValueError):
            self.say(self._failure(f"{record.name}:{record.lineno}"))

    def _failure(self, entry: str) -> str:
        failure = logging.LogRecord(__name__, logging.ERROR, __file__, 0, "Log entry not written", None, None)
        failure.entry = entry
        failure.error_type = getattr(sys.exc_info()[0], "__qualname__", None)
        return self.format(failure)

    def flush(self) -> None:
        """Write the lines that wait."""
        self.write_waiting()
        super().flush()

    def write_waiting(self) -> None:
        """Write the lines that wait, unless another thread is about to."""
        # Again after each turn: who came in its last moment has left a line here and gone.
        while self._waiting and self._turn.acquire(blocking=len(self._waiting) > MOST_WAITING):
            try:
                self._write_all()
            finally:
                self._turn.release()

    def _write_all(self) -> None:
        lines = "".join([self._made(self._waiting.popleft()) for _ in range(len(self._waiting))])
        if self._descriptor is None:
            self.stream.write(lines)
            self.stream.flush()
            return
        rest = lines.encode("utf-8", "backslashreplace")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def _made(self, line: str | Entry) -> str:
        if isinstance(line, str):
            return line + self.terminator
        try:
            return self._formatter.line_of(line) + self.terminator
        except Exception:  # noqa: BLE001 - the other lines that wait are to be written
            return self._failure(line.logger_name) + self.terminator


def write_waiting_lines() -> None:
    """Write the lines that wait, if there is anybody to write them; raises nothing."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler):
            with suppress(OSError, ValueError):
                handler.write_waiting()


def _descriptor(stream: TextIO) -> int | None:
    """Return the file descriptor of ``stream``, or ``None`` for a stream in memory."""
    try:
        return stream.fileno()
    except (OSError, AttributeError):
        return None
