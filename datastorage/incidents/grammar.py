"""The grammars of parameter values: each function returns the value, or the ``Fault`` of a text that is none.

Pure; the service's clock comes in as an argument where "ago" needs a now.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from datastorage.errors import Fault
from datastorage.platform.clock import Clock
from datastorage.platform.web.literals import parse_date, parse_instant, strict_integer

Judge = Callable[[str], object]

MAX_WINDOW = timedelta(days=3650)
INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1

NOT_A_TIME = Fault("must be a duration such as 24h or 1h30m, an RFC 3339 timestamp, or a date")
NOT_A_WINDOW = Fault("must be a number of hours or days such as 24h or 7d, above zero and up to 3650d")

AGO_PATTERN = r"^(?=[0-9])([0-9]{1,12}d)?([0-9]{1,12}h)?([0-9]{1,12}m)?([0-9]{1,12}s)?$"
"""A duration, for the API document; it must be above zero and within ten years as well."""
_AGO = re.compile(
    r"(?=[0-9])(?:(?P<days>[0-9]{1,12})d)?(?:(?P<hours>[0-9]{1,12})h)?"
    r"(?:(?P<minutes>[0-9]{1,12})m)?(?:(?P<seconds>[0-9]{1,12})s)?",
    re.ASCII,
)
_LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?", re.ASCII)
_WINDOW = re.compile(r"(?P<number>[0-9]+)(?P<unit>[hd])", re.ASCII)


def any_text(text: str) -> str:
    """Accept any text, as it is."""
    return text


def one_of(choices: Sequence[str]) -> Judge:
    """Accept the members of a closed list."""
    fault = Fault(f"must be one of: {', '.join(choices)}")
    return lambda text: text if text in choices else fault


def integer_from(minimum: int, maximum: int) -> Judge:
    """Accept an integer in a range."""
    fault = Fault(f"must be an integer from {minimum} to {maximum}")

    def judge(text: str) -> int | Fault:
        number = strict_integer(text)
        return fault if number is None or not minimum <= number <= maximum else number

    return judge


def positive_integer(text: str) -> int | Fault:
    """Accept an integer above zero."""
    number = strict_integer(text)
    if number is None or not 0 < number <= INT64_MAX:
        return Fault(f"must be a positive integer up to {INT64_MAX}")
    return number


def instant(clock: Clock) -> Judge:
    """Accept a duration before now, or an absolute time; one without a zone is in UTC."""
    return lambda text: _ago(text, clock) or _absolute(text) or NOT_A_TIME


def _ago(text: str, clock: Clock) -> datetime | None:
    match = _AGO.fullmatch(text)
    if match is None:
        return None
    try:
        ago = timedelta(**{unit: int(number) for unit, number in match.groupdict(default="0").items()})
    except OverflowError:
        return None
    return clock() - ago if timedelta(0) < ago <= MAX_WINDOW else None


def _absolute(text: str) -> datetime | None:
    if _LOCAL.fullmatch(text):
        return parse_instant(f"{text}Z")
    day = parse_date(text)
    if day is not None:
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return parse_instant(text)


def window(text: str) -> timedelta | Fault:
    """Accept a number of hours or days that a rate looks back."""
    match = _WINDOW.fullmatch(text)
    number = strict_integer(match["number"]) if match else None
    if match is None or number is None or number > MAX_WINDOW / timedelta(hours=1):
        return NOT_A_WINDOW
    length = timedelta(hours=number) if match["unit"] == "h" else timedelta(days=number)
    return length if timedelta(0) < length <= MAX_WINDOW else NOT_A_WINDOW
