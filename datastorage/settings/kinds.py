"""The kinds of values: marshmallow fields, worded for operators.

YAML has numbers, booleans and lists, the environment only text, so every kind takes both. What a kind
says against a value reads on from the name of the key. It repeats numbers and words out of a short
list, never addresses or URLs: those are where a password ends up by mistake.
"""

import re
from collections.abc import Callable, Collection
from datetime import timedelta
from fractions import Fraction
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from marshmallow import ValidationError
from marshmallow.fields import Boolean, Field, Float, Integer, List, Raw, String
from marshmallow.validate import URL, Length, Range, Regexp

from datastorage.settings.rates import Rate, parse_rate

T = TypeVar("T")

PHRASE: Final = "phrase"
"""Metadata of a field: how its problems are worded, if not ``{label} {reason}``."""

_DECIMAL = re.compile(r"[+-]?(0|[1-9][0-9]{0,17})")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?")
_HIGHEST_PORT = 65535
_LONGEST_SHOWN = 40
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|[u\u00b5\u03bc]s|ms|s|m|h)")
_NANOSECONDS = {"ns": 1, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_MICROSECOND = 10**3  # us, µs with the micro sign, or with the Greek letter, which Go takes as well
_LONGEST_NANOSECONDS = 2**63 - 1  # Go counts in a signed 64-bit integer, about 292 years


def _shown(raw: Any) -> Any:
    """Strip text and cut what is too long to repeat; what a list or a mapping holds may be secret."""
    if not isinstance(raw, str):
        return raw if isinstance(raw, int | float) else f"a {type(raw).__name__}"
    text = raw.strip()
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _word(raw: Any) -> str:
    return str(_shown(raw)).lower()


def _unless(words: Collection[str], read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``None`` for the words that switch a setting off, otherwise what ``read`` makes of the value."""
    return lambda raw: None if _word(raw) in words else read(raw)


def _bounds(low: object, high: object) -> str:
    if high is None:
        return f"at least {low}"
    return f"between {low} and {high}" if low is not None else f"at most {high}"


def integer(low: int | None = None, high: int | None = None, *, off: Collection[str] = ()) -> Field[int]:
    """Whole numbers from ``low`` to ``high``, both included; ``off`` lists words for ``None``."""
    check = Range(low, high, error=f"must be {_bounds(low, high)}, got: {{input}}")
    return Integer(
        strict=True,
        allow_none=bool(off),
        pre_load=_unless(off, _decimal),
        validate=check,
        error_messages={"invalid": "must be a whole number, got: {input}"},
    )


def _decimal(raw: Any) -> Any:
    text = _shown(raw)
    if isinstance(text, str) and re.fullmatch("0[0-9]+", text):  # 010000 is 4096 to YAML, 10000 to others
        raise ValidationError(f"must be a whole number without leading zeros, got: {text}")
    return int(text) if isinstance(text, str) and _DECIMAL.fullmatch(text) else text


def number(low: float, high: float) -> Field[float]:
    """Numbers with a fraction, from ``low`` to ``high``, both included."""
    error = f"must be a number between {low:g} and {high:g}, got: {{input}}"
    return Float(pre_load=_shown, validate=Range(low, high, error=error), error_messages={"invalid": error})


def flag() -> Field[bool]:
    """``true`` or ``false``; YAML's own booleans arrive as such."""
    return Boolean(
        truthy={"true"},
        falsy={"false"},
        pre_load=_word,
        error_messages={"invalid": "must be true or false, got: {input}"},
    )


def choice(*words: str) -> Field[str]:
    """One word out of a list, in any case; YAML's booleans count as the words true and false."""
    listed = f"{', '.join(words[:-1])}{',' if words[2:] else ''} or {words[-1]}"

    def read(raw: Any) -> str:
        if _word(raw) not in words:
            raise ValidationError(f"{_shown(raw)} (must be {listed})")
        return _word(raw)

    return String(pre_load=read, metadata={PHRASE: "invalid {label}: {reason}"})


def duration(
    low: str | None = None, high: str | None = None, *, off: Collection[str] = ()
) -> Field[timedelta]:
    """Durations as Go writes them, from ``low`` to ``high``; without ``low`` anything above zero."""
    lowest, highest = parse_duration(low or "1us"), parse_duration(high) if high else timedelta.max
    bounds = _bounds(low or "above 0", high) if low or high else "above 0"

    def read(raw: Any) -> timedelta:
        # YAML reads 30 as a number. Seconds or nanoseconds? Only zero says the same in every unit.
        try:
            value = parse_duration(str(_shown(raw)))
        except ValidationError as error:
            raise ValidationError(f"{error}, got: {_shown(raw)}") from None
        if not lowest <= value <= highest:
            raise ValidationError(f"must be {bounds}, got: {_shown(raw)}")
        return value

    phrase = {PHRASE: "invalid {field}: {label} {reason}"}
    return Raw(pre_load=_unless(off, read), allow_none=bool(off), metadata=phrase)


def rate() -> Field[Rate | None]:
    """``off``, or a number per second or minute; YAML 1.1 reads an unquoted ``off`` as false."""
    read = _unless(("off", "false"), lambda raw: parse_rate(str(_shown(raw))))
    return Raw(pre_load=read, allow_none=True)


def parse_duration(text: str) -> timedelta:
    """Read ``300ms``, ``30s``, ``1h30m``, ``1.5h``; what is finer than a microsecond is cut off.

    Raises:
        ValidationError: the text is no duration, or a number without a unit (``0`` alone needs none).
    """
    digits = text.removeprefix("-").removeprefix("+") if not text.startswith("-+") else ""
    parts = _DURATION_PART.findall(digits) if len(digits) <= 2 * _LONGEST_SHOWN else []
    if digits != "0" and (not parts or "".join(map("".join, parts)) != digits):
        raise ValidationError("must be a duration with a unit, such as 300ms, 30s or 1h30m")
    total = sum(int(Fraction(count) * _NANOSECONDS.get(unit, _MICROSECOND)) for count, unit in parts)
    if total > _LONGEST_NANOSECONDS:
        raise ValidationError("must be a duration below 292 years")
    return timedelta(microseconds=total // 1000) * (-1 if text.startswith("-") else 1)


def text(*checks: Callable[[str], Any], then: Callable[[str], Any] = str) -> Field[Any]:
    """Text that is not empty and passes the checks; ``then`` makes the value of it.

    A number is refused although it has a spelling: ``name: 0815`` and ``name: no`` are not what
    YAML makes of them.
    """
    return String(
        pre_load=lambda raw: raw.strip() if isinstance(raw, str) else raw,
        validate=[Length(min=1, error="must not be empty"), *checks],
        post_load=then,
        error_messages={"invalid": "must be text (put it in quotes)"},
    )


def pattern(regex: str, meaning: str) -> Field[str]:
    """Text that matches a pattern as a whole; ``meaning`` says it in words."""
    return text(Regexp(rf"(?:{regex})\Z", error=f"must be {meaning}"))


def file() -> Field[Path]:
    """The path of a file that can be read."""

    def check(name: str) -> None:
        try:
            Path(name).open("rb").close()
        except OSError:
            raise ValidationError("is not a readable file") from None

    return text(check, then=Path)


def host(*, or_socket: bool = False) -> Field[str]:
    """An address or a name, without the brackets it may be written in; or a Unix socket's folder."""

    def check(name: str) -> None:
        if not _is_host(name) and not (or_socket and name.startswith("/")):
            raise ValidationError("must be an IP address or a name")

    return text(check, then=_without_brackets)


def hosts() -> Field[str]:
    """One ``host`` or Unix socket, or several hosts with commas between, each with a port if it needs one."""

    def check(text: str) -> None:
        for name, port in (server_of(each, default_port=1) for each in text.split(",")):
            if not _is_host(name) or not 1 <= port <= _HIGHEST_PORT:
                raise ValidationError("must be IP addresses or names")

    single = host(or_socket=True)
    return text(lambda name: check(name) if "," in name else single.deserialize(name), then=_one_or_several)


def _one_or_several(names: str) -> str:
    return ",".join(each.strip() for each in names.split(",")) if "," in names else _without_brackets(names)


def server_of(text: str, default_port: int) -> tuple[str, int]:
    """Return host and port of ``db``, ``db:5432``, ``[::1]:5432`` or ``::1``."""
    name, _, port = text.strip().rpartition(":")
    has_port = name and _DECIMAL.fullmatch(port) and (":" not in name or name.endswith("]"))
    return (
        (_without_brackets(name), int(port)) if has_port else (_without_brackets(text.strip()), default_port)
    )


def _is_host(name: str) -> bool:
    try:
        ip_address(_without_brackets(name))
    except ValueError:
        return _NAME.fullmatch(name) is not None
    return True


def _without_brackets(name: str) -> str:
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name


def address() -> Field[str]:
    """``host:port``; an IPv6 address stands in brackets."""

    def check(text: str) -> None:
        name, _, port = text.rpartition(":")
        is_port = _DECIMAL.fullmatch(port) and 1 <= int(port) <= _HIGHEST_PORT
        if not is_port or not _is_host(name) or (":" in name and not name.startswith("[")):
            raise ValidationError("must be host:port")

    return text(check)


def network() -> Field[IPv4Network | IPv6Network]:
    """A network in CIDR notation, or one address."""
    return text(then=_network)


def _network(raw: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(raw.strip())
    except ValueError as error:
        raise ValidationError("must be a network such as 10.0.0.0/8") from error


def url(*schemes: str) -> Field[str]:
    """A URL with one of ``schemes``."""
    return text(URL(require_tld=False, schemes=set(schemes), error=f"must be an {' or '.join(schemes)} URL"))


def origin() -> Field[str]:
    """An origin as browsers send it (scheme, host, port), or ``*`` for every origin."""
    kind = "must hold only * or http and https origins"
    return text(
        Regexp(r"\*\Z|https?://.", error=kind),
        Regexp(r"\*\Z|\w+://[^/?#@]+\Z", error=f"{kind}, without a path"),
    )


def listing(item: Field[T], *, least: int = 0) -> Field[tuple[T, ...]]:
    """At least so many of a kind: a YAML list, or text with commas."""
    items = List(
        item,
        pre_load=lambda raw: (
            [part for part in raw.split(",") if part.strip()] if isinstance(raw, str) else raw
        ),
        validate=Length(min=least, error="must not be empty"),
        post_load=tuple,
        error_messages={"invalid": "must be a list"},
        metadata=item.metadata,
    )
    return cast("Field[tuple[T, ...]]", items)
