"""Durations as Go writes them: ``300ms``, ``30s``, ``1h30m``, ``1.5h``."""

import re
from datetime import timedelta
from fractions import Fraction

from datastorage.settings.errors import Refused

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # micro sign
    "μs": 10**3,  # Greek letter mu, which Go takes as well
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST_TEXT = 64
_LONGEST_NANOSECONDS = 2**63 - 1  # Go counts in a signed 64-bit integer, about 292 years


def parse_duration(text: str) -> timedelta:
    """Read a duration; what is finer than a microsecond is cut off.

    Raises:
        Refused: the text is no duration, or a number without a unit (``0`` alone needs none).
    """
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if digits == "0":
        return timedelta(0)
    parts = list(_PART.finditer(digits)) if len(digits) <= _LONGEST_TEXT else []
    if not parts or sum(len(part.group()) for part in parts) != len(digits):
        raise Refused("must be a duration with a unit, such as 300ms, 30s or 1h30m")
    nanoseconds = sum(int(Fraction(part[1]) * _NANOSECONDS[part[2]]) for part in parts)
    if nanoseconds > _LONGEST_NANOSECONDS:
        raise Refused("must be a duration below 292 years")
    return sign * timedelta(microseconds=nanoseconds // 1000)
