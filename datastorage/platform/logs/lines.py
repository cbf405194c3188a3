"""How an entry is written: as a line of JSON, or for a person at a terminal."""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from os import getpid
from traceback import format_tb
from typing import Any, Final, NamedTuple

import msgspec
from pythonjsonlogger.core import RESERVED_ATTRS, BaseJsonFormatter, LogData

from datastorage.platform.logs.context import NO_REQUEST, RequestContext, request_context
from datastorage.platform.logs.redaction import can_hold_secret, is_plain, redact

STACK_FRAMES: Final = 50

_LEVEL_NAMES: Final = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "error",
    logging.CRITICAL: "error",
}
_OWN_FIELDS: Final = frozenset({"ts", "level", "msg", "logger", "service", "version", "pod", "pid"})
_RESERVED: Final = frozenset(RESERVED_ATTRS) | {"taskName"}


class Entry(NamedTuple):
    """An entry that has no record: nobody asks where it comes from."""

    created: float
    """Unix time."""
    level: int
    message: str
    """What every line of this kind says."""
    logger_name: str
    fields: Mapping[str, object]
    """None of them under a name that the line has anyway."""
    context: RequestContext


class JsonLines(BaseJsonFormatter):
    """Formats an entry as one line of JSON.

    Args:
        identity: members that every line carries.
    """

    def __init__(self, identity: Mapping[str, str]) -> None:
        super().__init__()
        self._identity = dict(identity)
        self._constant_parts: dict[tuple[int, str, str, int], str] = {}

    def add_fields(self, log_data: LogData, record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Collect the members of the line; what the caller adds cannot replace what the service says."""
        context = request_context.get()
        log_data.update(self._beginning(record.created, record.levelno, record.message, record.name, context))
        stack = message_dict.pop("exc_info", "") or message_dict.pop("stack_info", "")
        for fields in (message_dict, record.__dict__):
            for name in [name for name in fields if name not in _RESERVED]:
                log_data[name if name not in _OWN_FIELDS else f"extra_{name}"] = fields[name]
        if record.exc_info and record.exc_info[1]:
            log_data["error"] = describe(record.exc_info[1])
            log_data["error_type"] = type(record.exc_info[1]).__qualname__
        if stack:
            log_data["stack"] = stack

    def line_of(self, entry: Entry) -> str:
        """Return the line of an entry that has no record."""
        return self._joined(entry) or self._line_of_members(entry)

    def _joined(self, entry: Entry) -> str | None:
        """Return the line, put together from parts, or ``None`` if it might not be the same line."""
        if "correlation_id" in entry.fields and entry.context.correlation_id is not None:
            return None
        if not is_plain(entry.fields):
            return None
        try:
            context, fields = _ENCODER.encode(entry.context), _ENCODER.encode(entry.fields)
        except (UnicodeEncodeError, OverflowError):
            return None
        members = [self._constant_part(*entry[1:4], getpid()), context[1:-1].decode(), fields[1:-1].decode()]
        line = f'{{"ts":"{_timestamp(entry.created)}",{",".join(filter(None, members))}}}'
        return line if line.isascii() and "\x7f" not in line and not can_hold_secret(line) else None

    def _constant_part(self, level: int, message: str, logger_name: str, pid: int) -> str:
        key = level, message, logger_name, pid
        found = self._constant_parts.get(key)
        if found is None:
            members = self._constant_members(level, message, logger_name, pid)
            found = self._constant_parts[key] = _ENCODER.encode(members)[1:-1].decode()
        return found

    def _line_of_members(self, entry: Entry) -> str:
        log_data = self._beginning(
            entry.created, entry.level, entry.message, entry.logger_name, entry.context
        )
        log_data.update(entry.fields)
        return self.jsonify_log_record(log_data)

    def _beginning(
        self, created: float, level: int, message: str, logger_name: str, context: RequestContext
    ) -> LogData:
        constant = self._constant_members(level, message, logger_name, getpid())
        log_data: LogData = {"ts": _timestamp(created), **constant}
        _add_context(log_data, context)
        return log_data

    def _constant_members(self, level: int, message: str, logger_name: str, pid: int) -> LogData:
        return {
            "level": _LEVEL_NAMES.get(level, "info"),
            "msg": message,
            "logger": logger_name,
            **self._identity,
            "pid": pid,
        }

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is logging's
        """Return the traces of the exception and its causes, the first cause first."""
        return "\n\n".join(_stacks(ei[1]))

    def jsonify_log_record(self, log_data: LogData) -> str:
        """Return the line, without its end and without secrets.

        Most lines hold nothing that could be one. To see that in the finished line takes less time than to
        look at each of its values.
        """
        if is_plain(log_data):
            line = _encode(log_data)
            if not can_hold_secret(line):
                return line
        return _encode(_redacted(log_data))


class ConsoleLines(JsonLines):
    """Formats an entry for a person at a terminal, with the same promises."""

    def line_of(self, entry: Entry) -> str:
        """Return the line of an entry that has no record."""
        return self._line_of_members(entry)

    def jsonify_log_record(self, log_data: LogData) -> str:
        """Return the entry as one line, then its stack with every line of it marked."""
        log_data = _redacted(log_data)
        stack = log_data.pop("stack", "")
        fields = [
            f"{_escape(name)}={_encode(log_data[name])}" for name in log_data if name not in _OWN_FIELDS
        ]
        head = f"{log_data['ts']} {log_data['level'].upper():5} {log_data['logger']}: {log_data['msg']}"
        lines = [" ".join([head, *fields]), *(f"    | {line}" for line in stack.split("\n") if line)]
        return "\n".join(map(_escape, lines))


def _timestamp(created: float) -> str:
    second = int(created)
    return f"{_begun_second(second)}.{int((created - second) * 1e6):06}Z"


@lru_cache(maxsize=4)
def _begun_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _redacted(members: LogData) -> LogData:
    return {name: redact(name, value) for name, value in members.items()}


def _add_context(log_data: LogData, context: RequestContext) -> None:
    if context is not NO_REQUEST:
        for name in RequestContext.__struct_fields__:
            value = getattr(context, name)
            if value is not None:
                log_data[name] = value


# The client library of the database adds the values of the row to its messages.
_ROW_VALUES: Final = ("\nDETAIL:", "\n[parameters:")


def describe(error: BaseException) -> str:
    """Return the error's message without the row values that database errors quote."""
    text = str(error)
    for mark in _ROW_VALUES:
        text = text.partition(mark)[0]
    return text


def _stacks(error: BaseException | None) -> list[str]:
    chain: list[BaseException] = []
    while error is not None and not any(error is seen for seen in chain):
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return [_stack(link) for link in reversed(chain)]


def _stack(error: BaseException) -> str:
    # The innermost frames: an endless recursion has a thousand that look alike.
    frames = "".join(format_tb(error.__traceback__, limit=-STACK_FRAMES))
    return f"Traceback (most recent call last):\n{frames}{type(error).__qualname__}: {describe(error)}"


_ENCODER: Final = msgspec.json.Encoder()
# Terminals and log readers break lines at some of these, or show the text in another order.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT_ESCAPES: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def _encode(value: object) -> str:
    try:
        text = _ENCODER.encode(value).decode()
    except (UnicodeEncodeError, OverflowError):
        text = _encode_piecewise(value)
    # JSON escapes line breaks and the other ASCII control characters, but neither DEL nor those beyond.
    return text if text.isascii() and "\x7f" not in text else _escape(text)


def _encode_piecewise(value: object) -> str:
    """Encode what holds half a surrogate pair or an integer beyond 64 bits somewhere."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_encode(name)}:{_encode(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_encode, value)) + "]"
    return json.dumps(value)


def _escape(text: str) -> str:
    return _UNPRINTABLE.sub(_escape_character, text)


def _escape_character(found: re.Match[str]) -> str:
    return _SHORT_ESCAPES.get(found[0], f"\\u{ord(found[0]):04x}")
