"""Cursors: the position of the last row of a page, opaque to clients and without secrets."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

MAX_CURSOR_CHARACTERS = 512

Id = TypeVar("Id")


@dataclass(frozen=True, slots=True)
class Position(Generic[Id]):
    """Where a page ended: the sort key of its last row; the id orders rows of the same instant."""

    at: datetime
    id: Id


class InvalidCursor(ValueError):
    """The text is not a cursor, or it was made for another kind of page."""


def encode(position: dict[str, Any]) -> str:
    """Return ``position`` as unpadded base64url of compact JSON."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode("ascii")


def decode(cursor: str) -> dict[str, Any]:
    """Return what ``encode`` was given.

    Raises:
        InvalidCursor: not base64url, not JSON, or not an object.
    """
    if len(cursor) > MAX_CURSOR_CHARACTERS:
        raise InvalidCursor
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (binascii.Error, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidCursor from error


def instant(value: object) -> datetime:
    """Return the timestamp member of a cursor.

    Raises:
        InvalidCursor: not a timestamp with a zone.
    """
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError as error:
        raise InvalidCursor from error
    if at is None or at.tzinfo is None:
        raise InvalidCursor
    return at
