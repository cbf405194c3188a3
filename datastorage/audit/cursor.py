"""The cursor of audit pages: timestamp and id of the last row, and the order it was read in."""

from datetime import UTC
from uuid import UUID

from datastorage.platform.db import keyset
from datastorage.platform.db.keyset import Position

_ORDERS = {True: "asc", False: "desc"}


def cursor_of(position: Position[UUID], *, ascending: bool) -> str:
    """Return the opaque text for ``position``."""
    at = position.at.astimezone(UTC).isoformat()
    return keyset.encode({"t": at, "id": str(position.id), "o": _ORDERS[ascending]})


def position_of(cursor: str, *, ascending: bool) -> Position[UUID]:
    """Return the position a cursor stands for.

    Raises:
        InvalidCursor: not one of ours, or made for the other order.
    """
    members = keyset.decode(cursor)
    if members.get("o") != _ORDERS[ascending]:
        raise keyset.InvalidCursor
    try:
        # In UTC, because the date of the position bounds the partitions that are read.
        at = keyset.instant(members.get("t")).astimezone(UTC)
        return Position(at, UUID(str(members.get("id"))))
    except (ValueError, OverflowError) as error:
        raise keyset.InvalidCursor from error
