"""From a raw value to a typed one.

A parser is a pure function of what YAML or the environment holds: YAML has numbers, booleans and
lists, the environment only text, so every parser takes both. It raises ``Refused`` with a reason.
Reasons repeat numbers and words out of a short list, never addresses or URLs: those are where a
password ends up by mistake.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from datastorage.settings.durations import parse_duration
from datastorage.settings.errors import Refused

T = TypeVar("T")
Parser = Callable[[object], T]

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?")
_PORT = re.compile("[0-9]{1,5}")
_LONGEST_SHOWN = 40
_HIGHEST_PORT = 65535


def integers(low: int | None = None, high: int | None = None) -> Parser[int]:
    """Whole numbers from ``low`` to ``high``, both included."""

    def parse(raw: object) -> int:
        number = _whole_number(raw)
        if (low is not None and number < low) or (high is not None and number > high):
            raise Refused(f"must be {_range(low, high)}, got: {number}")
        return number

    return parse


def _whole_number(raw: object) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and _WHOLE_NUMBER.fullmatch(raw.strip()):
        return int(raw)
    raise Refused(f"must be a whole number, got: {_shown(raw)}")


def _range(low: object, high: object) -> str:
    if high is None:
        return f"at least {low}"
    if low is None:
        return f"at most {high}"
    return f"between {low} and {high}"


def _shown(raw: object) -> str:
    if not isinstance(raw, str | int | float):
        return f"a {type(raw).__name__}"  # what a mapping holds may not be ours to show
    text = str(raw)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def numbers(low: float, high: float) -> Parser[float]:
    """Numbers with a fraction, from ``low`` to ``high``, both included."""

    def parse(raw: object) -> float:
        try:
            number = float(raw) if isinstance(raw, int | float | str) and not isinstance(raw, bool) else None
        except ValueError:
            number = None
        if number is None or not low <= number <= high:
            raise Refused(f"must be a number between {low:g} and {high:g}, got: {_shown(raw)}")
        return number

    return parse


def durations(low: str | None = None, high: str | None = None) -> Parser[timedelta]:
    """Durations from ``low`` to ``high``, both included; without ``low`` anything above zero."""
    lowest = parse_duration(low or "1us")
    highest = timedelta.max if high is None else parse_duration(high)

    def parse(raw: object) -> timedelta:
        # YAML reads 30 as a number. Seconds or nanoseconds? Only zero says the same in every unit.
        text = raw.strip() if isinstance(raw, str) else str(raw)
        try:
            duration = parse_duration(text)
        except Refused as refused:
            raise Refused(f"{refused}, got: {_shown(raw)}") from None
        if not lowest <= duration <= highest:
            bounds = "above 0" if low is None and high is None else _range(low or "above 0", high)
            raise Refused(f"must be {bounds}, got: {_shown(raw)}")
        return duration

    return parse


def choices(*words: str) -> Parser[str]:
    """One word out of a list, in lower case whatever the case of the raw value."""
    listed = f"{', '.join(words[:-1])}{',' if len(words) > 2 else ''} or {words[-1]}"  # noqa: PLR2004 - grammar

    def parse(raw: object) -> str:
        word = str(raw).strip().lower()
        if word not in words:
            raise Refused(f"{_shown(raw)} (must be {listed})")
        return word

    return parse


def boolean(raw: object) -> bool:
    """Read ``true`` or ``false``; YAML's own booleans arrive as such."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().lower() in {"true", "false"}:
        return raw.strip().lower() == "true"
    raise Refused(f"must be true or false, got: {_shown(raw)}")


def string(raw: object) -> str:
    """Read text that is not empty.

    A number is refused although it has a spelling: ``name: 0815`` and ``name: no`` are not what
    YAML makes of them.
    """
    if not isinstance(raw, str):
        raise Refused("must be text (put it in quotes)")
    if not raw.strip():
        raise Refused("must not be empty")
    return raw.strip()


def strings(pattern: str, meaning: str) -> Parser[str]:
    """Text that matches a pattern as a whole; ``meaning`` says it in words."""
    compiled = re.compile(pattern)

    def parse(raw: object) -> str:
        text = string(raw)
        if not compiled.fullmatch(text):
            raise Refused(f"must be {meaning}")
        return text

    return parse


def path(raw: object) -> Path:
    """Read the path of a file; whether the file can be read is asked by the checks."""
    return Path(string(raw))


def host(raw: object) -> str:
    """Read an IP address or a host name."""
    text = string(raw)
    if not (_is_ip_address(text) or _NAME.fullmatch(text)):
        raise Refused("must be an IP address or a name")
    return text


def _is_ip_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def host_or_socket(raw: object) -> str:
    """Read a host, or the absolute path of a directory with PostgreSQL's Unix socket."""
    text = string(raw)
    return text if text.startswith("/") else host(text)


def address(raw: object) -> str:
    """Read ``host:port``; an IPv6 address stands in brackets."""
    name, _, port = string(raw).rpartition(":")
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    is_port = _PORT.fullmatch(port) is not None and 1 <= int(port) <= _HIGHEST_PORT
    if not is_port or (bare == name and ":" in name):
        raise Refused("must be host:port")
    try:
        host(bare)
    except Refused:
        raise Refused("must be host:port") from None
    return string(raw)


def url(raw: object) -> str:
    """Read an http or https URL."""
    text = string(raw)
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_url = False
    if not is_url:
        raise Refused("must be an http or https URL")
    return text


def origin(raw: object) -> str:
    """Read an origin as browsers send it (scheme, host, port), or ``*`` for every origin."""
    text = string(raw)
    if text == "*":
        return text
    try:
        parts = urlsplit(url(text))
    except Refused:
        raise Refused("must hold only * or http and https origins") from None
    if f"{parts.scheme}://{parts.netloc}" != text or "@" in parts.netloc:
        raise Refused("must hold only * or http and https origins, without a path")
    return text


def lists(item: Parser[T]) -> Parser[tuple[T, ...]]:
    """Lists of ``item``: a YAML list, or text with commas."""

    def parse(raw: object) -> tuple[T, ...]:
        if isinstance(raw, str):
            return tuple(item(part.strip()) for part in raw.split(",") if part.strip())
        if isinstance(raw, list | tuple):
            return tuple(item(part) for part in raw)
        raise Refused("must be a list")

    return parse


def not_empty(items: Parser[tuple[T, ...]]) -> Parser[tuple[T, ...]]:
    """Lists with at least one item."""

    def parse(raw: object) -> tuple[T, ...]:
        parsed = items(raw)
        if not parsed:
            raise Refused("must not be empty")
        return parsed

    return parse


def unless(word: str, parser: Parser[T]) -> Parser[T | None]:
    """``None`` for a word that switches the setting off, otherwise what ``parser`` reads."""

    def parse(raw: object) -> T | None:
        # YAML 1.1 reads an unquoted `off` as false.
        is_off = raw is False if word == "off" else False
        if is_off or (isinstance(raw, str) and raw.strip().lower() == word):
            return None
        return parser(raw)

    return parse
