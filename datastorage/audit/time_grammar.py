"""Times in query parameters: absolute, or a duration before now."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from datastorage.platform.clock import Clock
from datastorage.platform.web import fields

_RELATIVE_PATTERN = r"^([0-9]+(\.[0-9]+)?(ns|us|ms|d|h|m|s))+$"
_RELATIVE = re.compile(_RELATIVE_PATTERN.strip("^$"))
_RELATIVE_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|d|h|m|s)", re.ASCII)
_UNIT_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_BLANK_OFFSET = re.compile(r"(T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?) (\d{2}:\d{2})", re.ASCII)
_LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}", re.ASCII)


class Time(fields.Judged):
    """An absolute time, or a duration before now; an unescaped plus sign arrives as a blank."""

    clock: Clock

    def judge(self, value: str) -> datetime:
        """Refuse what the grammar does not have."""
        at = parse_time(value, self.clock)
        if at is None:
            message = f"invalid time format: {value} (expected 24h, 7d or an RFC 3339 timestamp)"
            raise fields.refuse(message)
        return at

    def openapi(self) -> dict[str, Any]:
        """The forms one would choose; a missing zone and a blank in place of a plus sign are tolerated."""
        forms = [{"format": "date-time"}, {"format": "date"}, {"pattern": _RELATIVE_PATTERN}]
        return {"type": "string", "anyOf": forms, "examples": ["24h", "2026-01-14T08:00:00Z", "2026-01-14"]}


def parse_time(text: str, clock: Clock) -> datetime | None:
    """Return the UTC instant of an absolute or relative time, or ``None`` when it is neither."""
    if _RELATIVE.fullmatch(text):
        return _before_now(text, clock)
    if _LOCAL.fullmatch(text):
        return fields.parse_instant(f"{text}Z")
    day = fields.parse_date(text)
    if day is not None:
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return fields.parse_instant(_BLANK_OFFSET.sub(r"\1+\2", text))


def _before_now(text: str, clock: Clock) -> datetime | None:
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _RELATIVE_PART.findall(text))
    try:
        return clock() - timedelta(seconds=seconds)
    except OverflowError:
        return None
