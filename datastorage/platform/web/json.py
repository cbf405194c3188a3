"""JSON in and out: strict on the way in, exact in both directions.

msgspec refuses what RFC 8259 refuses (NaN, trailing data, lone surrogates, invalid UTF-8) and
numbers that overflow a double, and keeps integers of any size, which most parsers turn into floats.
"""

from typing import Any

import msgspec

from datastorage.errors import Fault, InvalidInput

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


def decode(body: bytes, resource: str) -> Any:
    """Return the value of a request body.

    Raises:
        InvalidInput: not one JSON value, on field ``body``.
    """
    try:
        return _decoder.decode(body)
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


def encode(value: Any) -> bytes:
    """Return compact UTF-8 JSON; ``datetime`` in UTC becomes RFC 3339 with ``Z``."""
    return _encoder.encode(value)


def is_deeper_than(value: Any, depth: int) -> bool:
    """Tell whether objects and arrays nest beyond ``depth`` levels, without recursing that far."""
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
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
