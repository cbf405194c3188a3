"""One handler at the root, for the service, its libraries and gunicorn."""

import logging
import os
import sys
from collections.abc import Mapping
from time import time
from typing import Any, Final, Protocol, TextIO

from gunicorn import glogging

from datastorage.platform.logs.context import request_context
from datastorage.platform.logs.lines import ConsoleLines, Entry, JsonLines
from datastorage.platform.logs.output import Output
from datastorage.platform.logs.writer import LineWriter

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}


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

    May be called again with new settings: a handler for another stream is replaced, not doubled.

    Args:
        settings: level and format.
        version: of the service.
        pod: name of the pod, or of the host outside Kubernetes.
        stream: standard output by default.
    """
    formatter = {"json": JsonLines, "console": ConsoleLines}[settings.format.lower()]
    identity = {"service": "datastorage", "version": version, "pod": pod}
    handler = _the_handler(sys.stdout if stream is None else stream)
    handler.setFormatter(formatter(identity))
    root = logging.getLogger()
    root.setLevel(LEVELS[settings.level.lower()])
    _route_gunicorn_through_root()
    logging.captureWarnings(capture=True)
    # No line names them, and to find them out is a third of what a record costs.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    return handler


def _the_handler(stream: TextIO) -> "LineHandler":
    root = logging.getLogger()
    # A plain StreamHandler is what logging.basicConfig leaves; it would print each entry again.
    for existing in [each for each in root.handlers if type(each) in {LineHandler, logging.StreamHandler}]:
        if isinstance(existing, LineHandler) and existing.stream is stream:
            return existing  # with the lines that still wait
        root.removeHandler(existing)
        existing.flush()
        existing.close()
    handler = LineHandler(stream)
    root.addHandler(handler)
    return handler


def _route_gunicorn_through_root() -> None:
    for name in ("gunicorn.error", "gunicorn.access"):
        routed = logging.getLogger(name)
        routed.handlers.clear()
        routed.propagate = True
        routed.setLevel(logging.NOTSET)


class GunicornLogger(glogging.Logger):
    """For gunicorn's ``logger_class``: its own handlers come back at start and on reload, and go again."""

    def setup(self, cfg: Any) -> None:
        """Read gunicorn's settings, but write through the handler of ``configure_logging``."""
        super().setup(cfg)
        _route_gunicorn_through_root()


class LineHandler(logging.Handler):
    """Hands lines to the writer. It reports its own failures as a line too."""

    formatter: JsonLines

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self._output = Output(stream)
        self.writer = LineWriter(self._output, self._line_of)

    def handle(self, record: logging.LogRecord) -> bool:
        """Write without the lock of the standard library: the writer has its own."""
        passes = bool(self.filter(record))
        if passes:
            self.emit(record)
        return passes

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of ``record``."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - whatever it is, a line must not end a request
            line = self._failure(f"{record.name}:{record.lineno}")
        self.writer.add(line)

    def _line_of(self, entry: Entry) -> str:
        try:
            return self.formatter.line_of(entry)
        except Exception:  # noqa: BLE001 - the other lines are to be written
            return self._failure(entry.logger_name)

    def _failure(self, entry: str) -> str:
        """Return a line about an entry that could not be written, without its values: they may be secret."""
        failure = logging.LogRecord(__name__, logging.ERROR, __file__, 0, "Log entry not written", None, None)
        failure.entry = entry
        failure.error_type = getattr(sys.exc_info()[0], "__qualname__", None)
        return self.format(failure)

    def flush(self) -> None:
        """Wait for the lines to be taken, for a bounded time; the standard library does so at exit."""
        self.writer.flush()

    def close(self) -> None:
        """Write nothing any more."""
        super().close()
        self.writer.close()

    def begin_anew(self) -> None:
        """Forget, after a fork, what the other process has still to write."""
        self.formatter.note_process()
        dropped = self.writer.count_dropped
        self.writer = LineWriter(self._output, self._line_of)
        self.writer.count_dropped = dropped


def line_writers() -> list[LineWriter]:
    """Return what writes the lines of this process: one writer, or none before ``configure_logging``."""
    return [each.writer for each in logging.getLogger().handlers if isinstance(each, LineHandler)]


def log_lean(logger: logging.Logger, level: int, message: str, fields: Mapping[str, object]) -> None:
    """Log what every request logs, without a record of where it was logged: that is two thirds of the cost.

    Args:
        logger: in whose name.
        level: number of the level. Up to ``INFO`` it is an access line, the first to be dropped.
        message: a constant.
        fields: further members of the line. They must not change any more.
    """
    if not logger.isEnabledFor(level):
        return
    match logging.getLogger().handlers:
        case [LineHandler() as handler]:
            handler.writer.add(Entry(time(), level, message, logger.name, fields, request_context.get()))
        case _:
            # Somebody else listens, too.
            logger.log(level, message, extra=fields)


def _begin_anew() -> None:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler):
            handler.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)
