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
        self.writer = LineWriter(Output(stream), self._line_of)

    def handle(self, record: logging.LogRecord) -> bool:
        """Write ``record`` without the handler's lock: the writer has its own."""
        passes = bool(self.filter(record))
        if passes:
            self.emit(record)
        return passes

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of ``record``."""
        self.writer.add(self._line_of(record))

    def _line_of(self, entry: logging.LogRecord | Entry) -> str:
        try:
            if isinstance(entry, Entry):
                return self.formatter.line_of(entry)
            return self.format(entry)
        except Exception as error:  # noqa: BLE001 - whatever it is, a line must not end a request
            # Without the values of the entry: they may be secret.
            failure = {
                "name": __name__,
                "levelno": logging.ERROR,
                "msg": "Log entry not written",
                "entry": entry.logger_name if isinstance(entry, Entry) else f"{entry.name}:{entry.lineno}",
                "error_type": type(error).__qualname__,
            }
            return self.format(logging.makeLogRecord(failure))

    def flush(self) -> None:
        """Wait until the lines are written, for a bounded time; the standard library calls this at exit."""
        self.writer.flush()

    def close(self) -> None:
        """Release the output; later lines are dropped."""
        super().close()
        self.writer.close()


def line_writers() -> list[LineWriter]:
    """Return the writer of this process's lines; none before ``configure_logging``."""
    return [each.writer for each in logging.getLogger().handlers if isinstance(each, LineHandler)]


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
    for writer in line_writers():
        writer.forget_lines()


os.register_at_fork(after_in_child=_forget_lines)
