"""Replaces secrets in what is about to be logged."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final
from uuid import UUID

REDACTED: Final = "[REDACTED]"

_TELLTALES: Final = r"(?:password|passwd|pwd|token|api[_-]?key|secret|authorization|bearer)"
# `auth` counts as a word of its own only: `author` is no secret.
_SECRET_NAME = re.compile(rf"{_TELLTALES}|(?:^|[^a-z])auth(?:$|[^a-z])", re.IGNORECASE)
# A few digits of a token's hash find its lines and give nothing away; anything longer may be the token.
_SHOWN: Final = {"token_id": re.compile(r"[0-9a-f]{1,16}")}
# Repetitions are bounded: a client may send a text that makes an unbounded search take very long.
_SECRET_PAIR = re.compile(
    rf"""((?:{_TELLTALES}\w{{0,32}}|auth)['"]?\s{{0,3}}[=:]\s{{0,3}})"""
    r"""('(?:[^'\\]|\\.){0,1024}'|"(?:[^"\\]|\\.){0,1024}"|[^\s&]+)""",
    re.IGNORECASE | re.DOTALL,
)
_SPACES = re.compile(r"(\s+)")
_MAX_DEPTH: Final = 8
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_PLAIN_TYPES: Final = frozenset({int, float, bool, type(None), datetime, date, UUID, Decimal})


def is_plain(members: Mapping[str, object]) -> bool:
    """Tell whether all values are scalars, and no name is that of a secret."""
    return _SCALARS.issuperset(map(type, members.values())) and not _names_secret(tuple(members))


@lru_cache(maxsize=1024)
def _names_secret(names: tuple[str, ...]) -> bool:
    return any(map(_is_secret, names))


def can_hold_secret(line: str) -> bool:
    """Tell whether ``line``, which is JSON, holds a text that ``redact_text`` could change.

    JSON leaves the marks of a secret as they are, except for quotation marks. Single characters are searched
    first: that is much faster than a search for two, and few lines have one.
    """
    return (
        "=" in line
        or ("'" in line and "':" in line)
        or ("\\" in line and '\\":' in line)
        or ("@" in line and "://" in line)
    )


def redact(name: str, value: object, depth: int = 0) -> object:
    """Return ``value``, to be logged under ``name``, with every secret in it replaced."""
    if _is_secret(name) and not _is_shown(name, value):
        return REDACTED
    if type(value) is str:
        return redact_text(value)
    if type(value) in _PLAIN_TYPES:
        return value
    return _redact_object(name, value, depth)


def _is_shown(name: str, value: object) -> bool:
    shown = _SHOWN.get(name)
    return shown is not None and (value is None or shown.fullmatch(str(value)) is not None)


def _redact_object(name: str, value: object, depth: int) -> object:
    if isinstance(value, Mapping | list | tuple | set | frozenset) and depth == _MAX_DEPTH:
        return "..."
    if isinstance(value, Mapping):
        return {str(key): redact(str(key), member, depth + 1) for key, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(name, member, depth + 1) for member in value]
    return redact_text(str(value))


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def redact_text(text: str) -> str:
    """Replace the passwords of URLs and the secrets of connection strings in ``text``."""
    if "://" in text and "@" in text:
        text = "".join(_redact_url(word) for word in _SPACES.split(text))
    if "=" in text or "':" in text or '":' in text:
        text = _SECRET_PAIR.sub(rf"\1{REDACTED}", text)
    return text


def _redact_url(word: str) -> str:
    # The last @ ends the password: a broken URL, which is one that gets logged, may have another inside.
    scheme, _, rest = word.partition("://")
    credentials, at, host = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    return f"{scheme}://{user}:{REDACTED}@{host}" if at and colon else word
