"""What those who read on along the ledger are answered as JSON."""

from typing import Annotated, Any, ClassVar, Final, Self

import msgspec

from datastorage.ledger.following import Piece
from datastorage.platform.web.shapes import JSON_OBJECT, meaning

ITEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A leaf: an `event`, which is `null` where its row is gone, or a `statement`.",
    "required": ["leaf_index"],
    "properties": {
        "leaf_index": {"type": "integer", "description": "Its place."},
        "event": {
            "type": ["object", "null"],
            "description": "The event as it was stored.",
            "additionalProperties": True,
        },
        "statement": {**JSON_OBJECT, "description": "What the ledger says of itself."},
        "event_id": {"type": "string", "format": "uuid", "description": "Whose row is gone."},
        "archived": {"type": "boolean", "description": "Whether it has left with its month."},
    },
}


class FeedPage(msgspec.Struct, frozen=True):
    """Some leaves in their order."""

    example: ClassVar[dict[str, Any]] = {
        "data": [{"leaf_index": 7, "event": None, "event_id": "0f6f1c0e-5c43-4d7a-9a0b-6a0c9a3f7d11"}],
        "next": 8,
        "tree_size": 280,
    }

    data: Annotated[list[msgspec.Raw], meaning("The leaves.", of=ITEM)]
    next: Annotated[int, meaning("Ask again with `from` set to this.")]
    tree_size: Annotated[int, meaning("How many leaves there are.")]

    @classmethod
    def of(cls, piece: Piece, tree_size: int) -> Self:
        """Return the page of what was read."""
        return cls([msgspec.Raw(item.line.encode()) for item in piece.items], piece.next, tree_size)
