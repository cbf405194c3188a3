"""JSON in and out: strict on the way in, exact in both directions.

msgspec refuses what RFC 8259 refuses (NaN, trailing data, lone surrogates, invalid UTF-8) and
numbers that overflow a double, and keeps integers of any size, which most parsers turn into floats.
"""

from decimal import Decimal, InvalidOperation
from math import isinf
from typing import Any

import msgspec

from datastorage.errors import Fault, InvalidInput

MAX_NUMBER_CHARACTERS = 1000
"""Longest text of an exact number; PostgreSQL's numeric takes more, nobody means more."""


def _exact_number(text: str) -> Decimal:
    """Return the number of a JSON text; msgspec turns a ``ValueError`` into its own error."""
    if len(text) > MAX_NUMBER_CHARACTERS or isinf(float(text)):
        raise ValueError("Number out of range")
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise ValueError("Number out of range") from error
    if number.is_zero():
        return Decimal(0)
    if number.adjusted() < -MAX_NUMBER_CHARACTERS:
        raise ValueError("Number out of range")
    return number


def _double(text: str) -> float:
    """Return the double of a JSON text; msgspec alone takes 40 us for ``1e308``, a minute for a body."""
    number = float(text)
    if isinf(number):
        raise ValueError("Number out of range")
    return number


_NESTING = (dict, list)

Decoder = msgspec.json.Decoder[Any]


def decoder(kind: Any = Any, *, exactly: bool = False) -> Decoder:
    """Return a decoder of one type; ``exactly`` makes every fraction the ``Decimal`` that was written."""
    return msgspec.json.Decoder(kind, float_hook=_exact_number if exactly else _double)


_decoder = decoder()
_exact_decoder = decoder(exactly=True)
_skipping_decoder = decoder(msgspec.Raw)
_encoder = msgspec.json.Encoder()
_exact_encoder = msgspec.json.Encoder(decimal_format="number")


def decode(body: bytes, resource: str) -> Any:
    """Return the value of a request body.

    Raises:
        InvalidInput: not one JSON value, on field ``body``.
    """
    return decode_with(_decoder, body, resource)


def decode_exactly(body: bytes, resource: str) -> Any:
    """Return the value of a request body, with every fraction as the ``Decimal`` that was written.

    Raises:
        InvalidInput: not one JSON value, on field ``body``.
    """
    return decode_with(_exact_decoder, body, resource)


def check(body: bytes, resource: str) -> None:
    """Make sure that a body is JSON, without making anything of it.

    Raises:
        InvalidInput: not one JSON value, on field ``body``.
    """
    decode_with(_skipping_decoder, body, resource)


def decode_with(decoder: Decoder, body: bytes, resource: str) -> Any:
    """Return what ``decoder`` makes of a request body.

    Raises:
        InvalidInput: not one JSON value of its type, on field ``body``.
    """
    try:
        value = decoder.decode(body)
        if not body.isascii():
            body.decode("utf-8")  # what the decoder skips it does not look at as text
    except RecursionError as error:
        fault = Fault("request body is not valid JSON: nested too deeply", "invalid_json")
        raise InvalidInput.of(resource, {"body": fault}) from error
    except UnicodeDecodeError as error:
        fault = Fault("request body is not valid JSON: not UTF-8", "invalid_json")
        raise InvalidInput.of(resource, {"body": fault}) from error
    except msgspec.DecodeError as error:
        # msgspec's sentence names the kind of fault and its position, never the content.
        fault = Fault(f"request body is not valid JSON: {error}", "invalid_json")
        raise InvalidInput.of(resource, {"body": fault}) from error
    return value


def encode(value: Any) -> bytes:
    """Return compact UTF-8 JSON; ``datetime`` in UTC becomes RFC 3339 with ``Z``."""
    return _encoder.encode(value)


def encode_exactly(value: Any) -> bytes:
    """Return compact UTF-8 JSON with every ``Decimal`` as a number, digit by digit."""
    return _exact_encoder.encode(value)


def encode_within(value: Any, depth: int) -> bytes | None:
    """Return compact UTF-8 JSON, ``None`` where objects and arrays nest beyond ``depth`` levels."""
    try:
        encoded = encode(value)
    except RecursionError:
        return None
    # Most documents have fewer brackets than they may have levels: counting takes a tenth of the time.
    if encoded.count(b"{") + encoded.count(b"[") > depth and is_deeper_than(value, depth):
        return None
    return encoded


def is_deeper_than(value: Any, depth: int) -> bool:
    """Tell whether objects and arrays nest beyond ``depth`` levels, without recursing that far."""
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, _NESTING)
        ]
        if not level:
            return False
    return True


def contains_nul(value: Any) -> bool:
    """Tell whether any key or string inside ``value`` contains U+0000."""
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, str):
            if "\x00" in current:
                return True
        elif isinstance(current, dict):
            pending.extend(current)
            pending.extend(current.values())
        elif isinstance(current, list):
            pending.extend(current)
    return False
