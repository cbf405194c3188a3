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
