"""What a client wrote as text: read as an integer, a time or an id, or repeated in an answer."""

import re
from datetime import UTC, date, datetime
from uuid import UUID

SHOWN_CHARACTERS = 100

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INT64_DIGITS = 19
# Newer Pythons read 24:00:00 as the next midnight; no offset has sixty minutes.
_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}T(?!24)\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:[0-5]\d)", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def strict_integer(text: str) -> int | None:
    """Return the integer that ``text`` is, ``None`` when it is none.

    ``int()`` also takes blanks, underscores and the digits of other scripts. A number of more than 19
    digits fits no column; it is returned as some number of that size, whatever its length.
    """
    if not _INTEGER.fullmatch(text):
        return None
    digits = text.lstrip("+-").lstrip("0")[: _INT64_DIGITS + 1] or "0"
    return -int(digits) if text[0] == "-" else int(digits)


def parse_instant(text: str) -> datetime | None:
    """Return the UTC instant of strict RFC 3339 text, truncated to microseconds, or ``None``."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def parse_date(text: str) -> date | None:
    """Return the date of ``YYYY-MM-DD``, or ``None``."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def parse_uuid(text: str) -> UUID | None:
    """Return the UUID of its 8-4-4-4-12 form in any letter case, or ``None``."""
    return UUID(text) if _UUID.fullmatch(text) else None


def shown(text: str) -> str:
    """Return ``text`` as an answer may repeat it: no control characters, at most 100 characters."""
    cut = text[:SHOWN_CHARACTERS]
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
    return escaped if len(cut) == len(text) else f"{escaped}…"
