"""Base64 and numbers in the one spelling that signed formats allow."""

import base64
import binascii
import re
from typing import Final

from datastorage.ledger.errors import MalformedEvidence

_NUMBER: Final = re.compile("0|[1-9][0-9]{0,18}")


def to_base64(data: bytes) -> str:
    """Return standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str) -> bytes:
    """Return the bytes; a text that is not how they are written is refused.

    Raises:
        MalformedEvidence: it is not.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedEvidence("not base64") from error
    if to_base64(data) != text:  # bits behind the last byte
        raise MalformedEvidence("not base64")
    return data


def from_decimal(text: str) -> int:
    """Return a number from 0 to 2^63 - 1, written without leading zeros.

    Raises:
        MalformedEvidence: it is not.
    """
    if not _NUMBER.fullmatch(text) or (number := int(text)) >= 1 << 63:
        raise MalformedEvidence("not a decimal number")
    return number
