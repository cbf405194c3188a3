"""The grammars of parameter values: each judges a text, and says in JSON Schema what it accepts.

A judge returns the value, or the ``Fault`` of a text that is none. Judges are pure; the service's clock
comes in where "ago" needs a now.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from datastorage.errors import Fault
from datastorage.platform.clock import Clock
from datastorage.platform.web import json
from datastorage.platform.web.fields import JSON_OBJECT, WITHOUT_NUL
from datastorage.platform.web.literals import parse_date, parse_instant, parse_uuid, strict_integer

NOT_AN_OBJECT = Fault("must be a JSON object")

_AGO_PATTERN = r"^([0-9]+(\.[0-9]+)?(ns|us|ms|d|h|m|s))+$"
_AGO = re.compile(_AGO_PATTERN.strip("^$"))
_AGO_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|d|h|m|s)", re.ASCII)
_UNIT_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_BLANK_OFFSET = re.compile(r"(T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?) (\d{2}:\d{2})", re.ASCII)
_LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}", re.ASCII)


class Grammar(NamedTuple):
    """What texts of a parameter mean.

    Attributes:
        judge: from a text to a value or a ``Fault``.
        schema: the JSON Schema of the texts, or of the value where there is a ``media_type``.
        media_type: of a text that is a document.
        example: one such document.
    """

    judge: Callable[[str], Any]
    schema: Mapping[str, Any]
    media_type: str | None = None
    example: Any = None


def any_text(pattern: str = WITHOUT_NUL) -> Grammar:
    """Accept any text, as it is; the request line bounds it. ``pattern`` is for the API document."""
    return Grammar(lambda text: text, {"type": "string", "pattern": pattern})


def one_of(choices: Sequence[str]) -> Grammar:
    """Accept the members of a closed list; the text is part of the sentence."""
    listed = ", ".join(choices)

    def judge(text: str) -> str | Fault:
        return text if text in choices else Fault(f"must be one of: {listed} (got '{text}')")

    return Grammar(judge, {"type": "string", "enum": list(choices)})


def integer(minimum: int, maximum: int) -> Grammar:
    """Accept an integer in a range."""
    not_integer = Fault("must be an integer")
    too_small, too_large = Fault(f"must be at least {minimum}"), Fault(f"must be at most {maximum}")

    def judge(text: str) -> int | Fault:
        number = strict_integer(text)
        if number is None:
            return not_integer
        if number < minimum:
            return too_small
        return number if number <= maximum else too_large

    return Grammar(judge, {"type": "integer", "minimum": minimum, "maximum": maximum})


def _flag(text: str) -> bool | Fault:
    return text == "true" if text in {"true", "false"} else Fault("must be a boolean")


def _uuid(text: str) -> UUID | Fault:
    return parse_uuid(text) or Fault("must be a valid UUID")


def object_text(example: Mapping[str, Any]) -> Grammar:
    """Accept the text of a JSON object, rewritten as documents are when they are stored.

    Both sides of a comparison then have their numbers in the same precision, and none that jsonb cannot hold.
    """
    return Grammar(_object_text, JSON_OBJECT, "application/json", example)


_ANY = json.decoder()


def _object_text(text: str) -> str | Fault:
    try:
        found = _ANY.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return NOT_AN_OBJECT
    if not isinstance(found, dict) or json.contains_nul(found):
        return NOT_AN_OBJECT
    return json.encode(found).decode("utf-8")


ANY_TEXT = any_text()
FLAG = Grammar(_flag, {"type": "boolean"})
ID = Grammar(_uuid, {"type": "string", "format": "uuid"})
"""A UUID in canonical form; the nil UUID is an id that nothing has."""


def time(clock: Clock) -> Grammar:
    """Accept an absolute time, or a duration before now such as ``1h30m``.

    A missing zone is UTC, and a blank in place of a plus sign is one that was not escaped; the API document
    has only the forms one would choose.
    """

    def judge(text: str) -> datetime | Fault:
        at = _before_now(text, clock) if _AGO.fullmatch(text) else _absolute(text)
        return at or Fault(f"invalid time format: {text} (expected 24h, 7d or an RFC 3339 timestamp)")

    forms = [{"format": "date-time"}, {"format": "date"}, {"pattern": _AGO_PATTERN}]
    examples = ["24h", "2026-01-14T08:00:00Z", "2026-01-14"]
    return Grammar(judge, {"type": "string", "anyOf": forms, "examples": examples})


def _before_now(text: str, clock: Clock) -> datetime | None:
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _AGO_PART.findall(text))
    try:
        return clock() - timedelta(seconds=seconds)
    except OverflowError:
        return None


def _absolute(text: str) -> datetime | None:
    if _LOCAL.fullmatch(text):
        return parse_instant(f"{text}Z")
    day = parse_date(text)
    if day is not None:
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return parse_instant(_BLANK_OFFSET.sub(r"\1+\2", text))


def worded(grammar: Grammar, sentence: str) -> Grammar:
    """Say the same about every text that ``grammar`` refuses."""
    fault = Fault(sentence)

    def judge(text: str) -> Any:
        value = grammar.judge(text)
        return fault if isinstance(value, Fault) else value

    return grammar._replace(judge=judge)


LONGEST_AGO = timedelta(days=3650)
NOT_A_TIME = Fault("must be a duration such as 24h or 1h30m, an RFC 3339 timestamp, or a date")
NOT_A_WINDOW = Fault("must be a number of hours or days such as 24h or 7d, above zero and up to 3650d")

_WHOLE_AGO_PATTERN = r"^(?=[0-9])([0-9]{1,12}d)?([0-9]{1,12}h)?([0-9]{1,12}m)?([0-9]{1,12}s)?$"
_WHOLE_AGO = re.compile(
    r"(?=[0-9])(?:(?P<days>[0-9]{1,12})d)?(?:(?P<hours>[0-9]{1,12})h)?"
    r"(?:(?P<minutes>[0-9]{1,12})m)?(?:(?P<seconds>[0-9]{1,12})s)?",
    re.ASCII,
)
_EXACT_LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?", re.ASCII)
_WINDOW = re.compile(r"(?P<number>[0-9]+)(?P<unit>[hd])", re.ASCII)
# What the API document cannot say in numbers.
_UP_TO_3650 = "([1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|36[0-4][0-9]|3650)"
_UP_TO_87600 = "([1-9][0-9]{0,3}|[1-7][0-9]{4}|8[0-6][0-9]{3}|87[0-5][0-9]{2}|87600)"


def exact_time(clock: Clock) -> Grammar:
    """Accept a duration before now in whole units, each once, or an absolute time; a missing zone is UTC."""
    forms = [{"format": "date-time"}, {"format": "date"}, {"pattern": _WHOLE_AGO_PATTERN}]
    examples = ["24h", "2026-11-20T10:15:00Z", "2026-11-20"]
    return Grammar(
        lambda text: _exactly_before_now(text, clock) or _exact(text) or NOT_A_TIME,
        {"type": "string", "anyOf": forms, "examples": examples},
    )


def _exactly_before_now(text: str, clock: Clock) -> datetime | None:
    match = _WHOLE_AGO.fullmatch(text)
    if match is None:
        return None
    try:
        ago = timedelta(**{unit: int(number) for unit, number in match.groupdict(default="0").items()})
    except OverflowError:
        return None
    return clock() - ago if timedelta(0) < ago <= LONGEST_AGO else None


def _exact(text: str) -> datetime | None:
    if _EXACT_LOCAL.fullmatch(text):
        return parse_instant(f"{text}Z")
    day = parse_date(text)
    if day is not None:
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return parse_instant(text)


def _window(text: str) -> timedelta | Fault:
    match = _WINDOW.fullmatch(text)
    number = strict_integer(match["number"]) if match else None
    if match is None or number is None or number > LONGEST_AGO / timedelta(hours=1):
        return NOT_A_WINDOW
    length = timedelta(hours=number) if match["unit"] == "h" else timedelta(days=number)
    return length if timedelta(0) < length <= LONGEST_AGO else NOT_A_WINDOW


WINDOW = Grammar(_window, {"type": "string", "pattern": f"^0*({_UP_TO_87600}h|{_UP_TO_3650}d)$"})
"""A number of hours or days to look back."""
