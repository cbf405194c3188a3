"""The leaf of an event or a statement: 57 bytes that fix every byte of its text.

    kind (1) | id (16) | correlation tag (8) | SHA-256 of the text (32)

The text is hashed as the bytes that were read. Only the id and the correlation id are taken out of it; it is
never written again.
"""

import json
from enum import IntEnum
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

from datastorage.ledger.errors import MalformedEvidence

LEAF_BYTES: Final = 57
TAG_BYTES: Final = 8
NO_TAG: Final = bytes(TAG_BYTES)
"""The tag of a statement that concerns no correlation id."""


class Kind(IntEnum):
    """What a leaf stands for; other kinds are valid leaves of a later release."""

    EVENT = 1
    STATEMENT = 2


_KINDS: Final = {"event_id": Kind.EVENT, "statement_id": Kind.STATEMENT}
"""The kind of a text by the name of its first member, which is its id."""


class Leaf(NamedTuple):
    """One entry of the tree, taken apart."""

    kind: int
    id: UUID
    correlation_tag: bytes
    digest: bytes

    def encoded(self) -> bytes:
        """Return the 57 bytes that the tree hashes."""
        return self.kind.to_bytes(1) + self.id.bytes + self.correlation_tag + self.digest

    @classmethod
    def decoded(cls, leaf: bytes) -> Self:
        """Take the bytes of a leaf apart.

        Raises:
            MalformedEvidence: a leaf has another length.
        """
        if len(leaf) != LEAF_BYTES:
            raise MalformedEvidence(f"a leaf has {LEAF_BYTES} bytes, not {len(leaf)}")
        return cls(leaf[0], UUID(bytes=leaf[1:17]), leaf[17:25], leaf[25:])


def leaf_of(text: bytes) -> Leaf:
    """Return the leaf of the text of an event or a statement.

    Raises:
        MalformedEvidence: the text is neither.
    """
    values = _members_of(text)
    name = next(iter(values), "")
    if name not in _KINDS:
        raise MalformedEvidence("the text begins with neither an event_id nor a statement_id")
    return Leaf(_KINDS[name], _uuid(values[name]), _tag_in(values), sha256(text).digest())


@lru_cache(maxsize=4096)
def correlation_tag(correlation_id: str) -> bytes:
    """Return the bytes by which leaves of one correlation id are found."""
    return sha256(correlation_id.encode()).digest()[:TAG_BYTES]


def _members_of(text: bytes) -> dict[str, Any]:
    try:
        # Numbers as text: one of 5,000 digits is legal in an event, and Python makes no integer of it.
        values = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise MalformedEvidence("the text is not JSON") from error
    if not isinstance(values, dict):
        raise MalformedEvidence("the text is not a JSON object")
    return values


def _uuid(value: object) -> UUID:
    try:
        return UUID(str(value))
    except ValueError as error:
        raise MalformedEvidence("the id of the text is not a UUID") from error


def _tag_in(values: dict[str, Any]) -> bytes:
    value = values.get("correlation_id")
    return correlation_tag(value) if isinstance(value, str) else NO_TAG
