"""One handler at the root logger, for the service, its libraries and gunicorn."""

import logging
import os
import socket
import sys
from collections.abc import Mapping
from time import time
from typing import Any, TextIO

from gunicorn import glogging

from datastorage import __version__
from datastorage.platform.logs.lines import ConsoleLines, Entry, JsonLines, request_context
from datastorage.platform.logs.output import Output
from datastorage.platform.logs.writer import LineWriter
from datastorage.settings import LoggingSettings


def configure_logging(settings: LoggingSettings, stream: TextIO | None = None) -> logging.Handler:
    """Send everything that is logged, warnings included, through one handler; return it.

    May be called again with new settings: a handler for another stream is replaced, not doubled.

    Args:
        settings: level and format.
        stream: standard output by default.
    """
    identity = {"service": "datastorage", "version": __version__, "pod": socket.gethostname()}
    handler = _the_handler(sys.stdout if stream is None else stream)
    handler.setFormatter(JsonLines(identity) if settings.format == "json" else ConsoleLines(identity))
    logging.getLogger().setLevel(settings.level.upper())
    _route_gunicorn_through_root()
    logging.captureWarnings(capture=True)
    # No line shows them, and collecting them is a third of the cost of a record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    return handler


def _the_handler(stream: TextIO) -> "LineHandler":
    root = logging.getLogger()
    # logging.basicConfig leaves a plain StreamHandler; it would print each entry again.
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
    """For gunicorn's ``logger_class``, which adds handlers of its own at start and on reload."""

    def setup(self, cfg: Any) -> None:
        """Read gunicorn's settings, but write through the handler of ``configure_logging``."""
        super().setup(cfg)
        _route_gunicorn_through_root()


class LineHandler(logging.Handler):
    """Hands lines to the writer. An entry that cannot be formatted is reported as a line, too."""

    formatter: JsonLines

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self._output = Output(stream)
        self.writer = LineWriter(self._output, self._line_of)

    def handle(self, record: logging.LogRecord) -> bool:
        """Write ``record`` without the handler's lock: the writer has its own."""
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
        """Return a line about an entry that cannot be formatted, without its values: they may be secret."""
        failure = logging.LogRecord(__name__, logging.ERROR, __file__, 0, "Log entry not written", None, None)
        failure.entry = entry
        failure.error_type = getattr(sys.exc_info()[0], "__qualname__", None)
        return self.format(failure)

    def flush(self) -> None:
        """Wait until the lines are written, for a bounded time; the standard library calls this at exit."""
        self.writer.flush()

    def close(self) -> None:
        """Release the output; later lines are dropped."""
        super().close()
        self.writer.close()

    def forget_lines(self) -> None:
        """Start with an empty buffer after a fork: the other process writes what waits here."""
        count_dropped = self.writer.count_dropped
        self.writer = LineWriter(self._output, self._line_of)
        self.writer.count_dropped = count_dropped


def _line_handlers() -> list[LineHandler]:
    return [each for each in logging.getLogger().handlers if isinstance(each, LineHandler)]


def line_writers() -> list[LineWriter]:
    """Return the writer of this process's lines; none before ``configure_logging``."""
    return [each.writer for each in _line_handlers()]


def log_lean(logger: logging.Logger, level: int, message: str, fields: Mapping[str, object]) -> None:
    """Log what every request logs, without a ``LogRecord``: finding out the caller is most of its cost.

    Args:
        logger: gives the name, and decides whether the level is logged.
        level: up to ``INFO`` it is an access line, the first to be dropped.
        message: a constant.
        fields: further members of the line; must not change after the call.
    """
    if not logger.isEnabledFor(level):
        return
    match logging.getLogger().handlers:
        case [LineHandler() as handler]:
            handler.writer.add(Entry(time(), level, message, logger.name, fields, request_context.get()))
        case _:  # other handlers need a record
            logger.log(level, message, extra=fields)


def _forget_lines() -> None:
    for handler in _line_handlers():
        handler.forget_lines()


os.register_at_fork(after_in_child=_forget_lines)
