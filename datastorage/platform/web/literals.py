"""What a client wrote as text: read as an integer, or repeated in an answer."""

import re

SHOWN_CHARACTERS = 100

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INT64_DIGITS = 19


def strict_integer(text: str) -> int | None:
    """Return the integer that ``text`` is, ``None`` when it is none.

    ``int()`` also takes blanks, underscores and the digits of other scripts. A number of more than 19
    digits fits no column; it is returned as some number of that size, whatever its length.
    """
    if not _INTEGER.fullmatch(text):
        return None
    digits = text.lstrip("+-").lstrip("0")[: _INT64_DIGITS + 1] or "0"
    return -int(digits) if text[0] == "-" else int(digits)


def shown(text: str) -> str:
    """Return ``text`` as an answer may repeat it: no control characters, at most 100 characters."""
    cut = text[:SHOWN_CHARACTERS]
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
    return escaped if len(cut) == len(text) else f"{escaped}…"
