"""How an entry is written: as a line of JSON, or for a person at a terminal."""

import json
import logging
import re
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from os import getpid
from traceback import format_tb
from typing import Final, NamedTuple

import msgspec

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
_OF_EVERY_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

Members = dict[str, object]


class RequestContext(msgspec.Struct, frozen=True, omit_defaults=True):
    """Members of every line that is written for one request."""

    request_id: str | None = None
    correlation_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None


NO_REQUEST: Final = RequestContext()
request_context: ContextVar[RequestContext] = ContextVar("request_context", default=NO_REQUEST)
"""The request this thread works for. The web layer sets it at the start of each; threads are reused."""


class Entry(NamedTuple):
    """What a line is made of."""

    created: float
    """Unix time."""
    level: int
    message: str
    logger_name: str
    fields: Mapping[str, object]
    """Further members of the line; none has the name of a member that every line has."""
    context: RequestContext


class JsonLines(logging.Formatter):
    """Formats an entry as one line of JSON.

    Args:
        identity: members that every line carries.
    """

    def __init__(self, identity: Mapping[str, str]) -> None:
        super().__init__()
        self._identity = identity

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; fields of the caller cannot replace those of the service."""
        message, context = record.getMessage(), request_context.get()
        return self.line_of(
            Entry(record.created, record.levelno, message, record.name, _fields_of(record), context)
        )

    def line_of(self, entry: Entry) -> str:
        """Return the line, without its end and without secrets.

        Most lines hold nothing that could be a secret. To search the finished line for one takes less time
        than to inspect each value.
        """
        members = self._members_of(entry)
        if is_plain(entry.fields):
            line = _encode(members)
            if not can_hold_secret(line):
                return line
        return _encode(_redacted(members))

    def _members_of(self, entry: Entry) -> Members:
        members: Members = {
            "ts": _timestamp(entry.created),
            "level": _LEVEL_NAMES.get(entry.level, "info"),
            "msg": entry.message,
            "logger": entry.logger_name,
            **self._identity,
            "pid": getpid(),
        }
        if entry.context is not NO_REQUEST:
            members |= msgspec.to_builtins(entry.context)
        members |= entry.fields
        return members


class ConsoleLines(JsonLines):
    """Formats an entry for a person at a terminal, with the same promises."""

    def line_of(self, entry: Entry) -> str:
        """Return the entry as one line, followed by its stack, each line of which is marked."""
        members = _redacted(self._members_of(entry))
        stack = str(members.pop("stack", ""))
        fields = [f"{_escape(name)}={_encode(members[name])}" for name in members if name not in _OWN_FIELDS]
        level = str(members["level"]).upper()
        head = f"{members['ts']} {level:5} {members['logger']}: {members['msg']}"
        lines = [" ".join([head, *fields]), *(f"    | {line}" for line in stack.split("\n") if line)]
        return "\n".join(map(_escape, lines))


def _fields_of(record: logging.LogRecord) -> Members:
    fields: Members = {
        name if name not in _OWN_FIELDS else f"extra_{name}": value
        for name, value in vars(record).items()
        if name not in _OF_EVERY_RECORD
    }
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        fields |= {
            "error": _describe(error),
            "error_type": type(error).__qualname__,
            "stack": "\n\n".join(_stacks(error)),
        }
    elif record.stack_info:
        fields["stack"] = record.stack_info
    return fields


def _timestamp(created: float) -> str:
    second = int(created)
    return f"{_to_the_second(second)}.{int((created - second) * 1e6):06}Z"


@lru_cache(maxsize=4)
def _to_the_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _redacted(members: Members) -> Members:
    return {name: redact(name, value) for name, value in members.items()}


# PostgreSQL and SQLAlchemy add the values of the row to their messages.
_ROW_VALUES: Final = ("\nDETAIL:", "\n[parameters:")


def _describe(error: BaseException) -> str:
    """Return the message of ``error`` without the values of a row that it may quote."""
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
    # Only the innermost frames: an endless recursion has a thousand that look alike.
    frames = "".join(format_tb(error.__traceback__, limit=-STACK_FRAMES))
    return f"Traceback (most recent call last):\n{frames}{type(error).__qualname__}: {_describe(error)}"


_ENCODER: Final = msgspec.json.Encoder()
# Terminals and log readers break lines at some of these, or reverse the order of the text.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT_ESCAPES: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def _encode(value: object) -> str:
    try:
        text = _ENCODER.encode(value).decode()
    except (UnicodeEncodeError, OverflowError):
        text = _encode_piecewise(value)
    # The encoder escapes ASCII control characters, except DEL, and none beyond ASCII.
    return text if text.isascii() and "\x7f" not in text else _escape(text)


def _encode_piecewise(value: object) -> str:
    """Encode a value that holds an unpaired surrogate or an integer beyond 64 bits, which msgspec refuses."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_encode(name)}:{_encode(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_encode, value)) + "]"
    return json.dumps(value)


def _escape(text: str) -> str:
    return _UNPRINTABLE.sub(_escape_character, text)


def _escape_character(found: re.Match[str]) -> str:
    return _SHORT_ESCAPES.get(found[0], f"\\u{ord(found[0]):04x}")
