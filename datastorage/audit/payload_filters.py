"""Conditions on members of ``event_data``: PostgreSQL has to see their values to choose the GIN index."""

import re
from collections.abc import Iterator
from decimal import Decimal
from math import isinf
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ARRAY, ColumnElement, and_, bindparam, func, or_
from sqlalchemy.dialects.postgresql import JSONB, TEXT

from datastorage.audit.tables import audit_events
from datastorage.errors import Fault
from datastorage.platform.db.conditions import Condition, Operator, jsonb
from datastorage.platform.web.parameters import Reading

MAX_PAYLOAD_FILTERS = 5
PAYLOAD_PREFIX = "event_data."

_SEGMENT = r"[A-Za-z0-9_-]{1,64}"
_PATH = re.compile(rf"{_SEGMENT}(\.{_SEGMENT}){{0,7}}", re.ASCII)
_BAD_PATH = Fault("must be event_data. and 1 to 8 segments of [A-Za-z0-9_-]{1,64} joined by dots")
_WORDS = frozenset({"true", "false", "null"})
_MAX_NUMBER_CHARACTERS = 100
_JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)


class Match(NamedTuple):
    """A member of ``event_data``, addressed by path, and the text it has to read like."""

    path: tuple[str, ...]
    text: str


def read_payload_filters(reading: Reading) -> None:
    """Add the conditions on ``event_data``; refuse bad paths, lone halves of a pair, and too many of them."""
    named = [*_at_paths(reading), *_pair(reading)]
    used = len(named) + (reading.values.get("event_data_contains") is not None)
    if used > MAX_PAYLOAD_FILTERS:
        too_many = Fault(f"at most {MAX_PAYLOAD_FILTERS} payload filters are allowed (got {used})")
        reading.refuse("event_data", too_many)
    reading.conditions += [
        Condition(PAYLOAD_PREFIX + ".".join(each.path), audit_events.c.event_data, READS, each)
        for each in named
    ]


def _at_paths(reading: Reading) -> Iterator[Match]:
    for name, text in reading.sent.texts.items():
        if text and name.startswith(PAYLOAD_PREFIX):
            path = name.removeprefix(PAYLOAD_PREFIX)
            if not _PATH.fullmatch(path):
                reading.refuse(name, _BAD_PATH)
            yield Match(tuple(path.split(".")), text)


def _pair(reading: Reading) -> Iterator[Match]:
    key, value = reading.text("detail_key"), reading.text("detail_value")
    if value and not key:
        reading.refuse("detail_value", Fault("must come together with detail_key"))
    if key and not value:
        reading.refuse("detail_key", Fault("must come together with detail_value"))
    if key and value and not re.fullmatch(r"\w+", key, re.ASCII):
        reading.refuse("detail_key", Fault("must consist of letters, digits and underscores"))
    if key:
        yield Match((key,), value)


def _reads(column: ColumnElement[Any], match: Match) -> ColumnElement[bool]:
    """``#>>`` decides, or the numbers where both are; containment lets the GIN index find the candidates.

    (event_data @> {path: "value"} OR event_data @> {path: value})
    AND (event_data #>> path = value OR event_data #> path = value::jsonb)
    """
    path = bindparam(None, list(match.path), ARRAY(TEXT))
    at_path = column.op("#>>", return_type=TEXT())(path)
    member = column.op("#>", return_type=JSONB())(path)
    is_scalar = func.jsonb_typeof(member).not_in(["object", "array"])
    numbers = numbers_of(match.text)
    exact = or_(and_(at_path == match.text, is_scalar), *(member == jsonb(each) for each in numbers))
    if any(segment.isdigit() for segment in match.path):
        return exact  # containment cannot address an array by position
    scalars = numbers or ([match.text] if match.text in _WORDS else [])
    leaves = [match.text, *(msgspec.Raw(each.encode("ascii")) for each in scalars)]
    return and_(or_(*(column.contains(jsonb(_nested(match.path, each))) for each in leaves)), exact)


READS = Operator("#>>", _reads, needs_value=True)
"""The member at a path reads like a text, whether it is a string, a number, a boolean or ``null``.

Of two numbers the value counts: what was sent as ``1e5`` is kept as ``100000``, and found by either.
"""


def _nested(path: tuple[str, ...], leaf: object) -> str:
    """Return the JSON text of ``{path[0]: {path[1]: … leaf}}``."""
    value: object = leaf
    for segment in reversed(path):
        value = {segment: value}
    return msgspec.json.encode(value).decode("utf-8")


def numbers_of(text: str) -> list[str]:
    """Return the JSON numbers that ``text`` stands for: as it is written, and as an event keeps it.

    None when it is no finite number of sane length. Exponents of more than three digits are not sane: jsonb
    cannot hold ``1e-20000``. Events keep fractions as doubles: a longer one is found by what was sent.
    """
    if len(text) > _MAX_NUMBER_CHARACTERS or not _JSON_NUMBER.fullmatch(text) or isinf(float(text)):
        return []
    kept = msgspec.json.encode(msgspec.json.decode(text)).decode("ascii")
    return [text] if Decimal(kept) == Decimal(text) else [text, kept]
