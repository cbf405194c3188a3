"""The cursor of incident pages: timestamp and id of the last row, and the filter it was read with."""

import hashlib
from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from datastorage.platform.db import keyset
from datastorage.platform.db.keyset import Position

VERSION = 1
MAX_ID = 2**63 - 1


class _SortKey(msgspec.Struct):
    id: int
    action_timestamp: str


def fingerprint(filters: Mapping[str, str]) -> str:
    """Return what tells one set of filters from another; times count by their text."""
    listed = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(filters.items()))
    return hashlib.sha256(listed.encode("utf-8")).hexdigest()[:16]


def cursor_after(row: str, filter_fingerprint: str) -> str:
    """Return the cursor that goes on behind ``row``, the JSON text of an incident."""
    key = msgspec.json.decode(row, type=_SortKey)
    members = {"v": VERSION, "t": key.action_timestamp, "id": key.id, "h": filter_fingerprint}
    return keyset.encode(members)


def position_of(cursor: str, filter_fingerprint: str) -> Position[int]:
    """Return the position a cursor stands for.

    Raises:
        InvalidCursor: not one of ours, or made for other filters.
    """
    members = keyset.decode(cursor)
    incident_id = members.get("id")
    if members.get("v") != VERSION or members.get("h") != filter_fingerprint:
        raise keyset.InvalidCursor
    if type(incident_id) is not int or not 0 < incident_id <= MAX_ID:
        raise keyset.InvalidCursor
    return Position(keyset.instant(members.get("t")), incident_id)
