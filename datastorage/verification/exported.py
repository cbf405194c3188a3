"""Lines of a feed export or of an archived month, compared with the leaves that they name."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.leaf import Leaf, leaf_of
from datastorage.verification.doubts import Incomplete, Tampered, Word

_ITEM: Final = re.compile(rb'\{"leaf_index":(0|[1-9][0-9]{0,18}),"(?:event|statement)":(.*)\}', re.DOTALL)
_GONE: Final = re.compile(rb'null,"event_id":"([0-9a-f-]{36})"(?:,"archived":true)?')


@dataclass(frozen=True, slots=True)
class Item:
    """A line: the leaf that it is of, and its text as the bytes between the members around it."""

    line_number: int
    leaf_index: int
    text: bytes

    def agrees_with(self, leaf: bytes) -> bool:
        """Return whether the text has this leaf; of an event that is gone only the id is known."""
        gone = _GONE.fullmatch(self.text)
        if gone:
            return UUID(gone[1].decode()) == Leaf.decoded(leaf).id
        try:
            return leaf_of(self.text).encoded() == leaf
        except MalformedEvidence:
            return False


class Exported:
    """The items of an export, in the order of the log, compared while the log is read: none is kept.

    Args:
        lines: of the file.

    Raises:
        MalformedEvidence: here and later, a line is no item or stands before a line of a lower leaf.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._items = _items_in(lines)
        self._next = next(self._items, None)
        self.count = 0

    def compare(self, first_index: int, leaves: Sequence[bytes]) -> None:
        """Compare the items of these leaves, of which the first has an index.

        Raises:
            Tampered: the text of an item has another leaf.
        """
        while self._next is not None and self._next.leaf_index < first_index + len(leaves):
            item = self._next
            if not item.agrees_with(leaves[item.leaf_index - first_index]):
                raise Tampered(Word.DIGEST, f"line {item.line_number} differs from leaf {item.leaf_index}")
            self.count += 1
            self._next = next(self._items, None)

    def require_end(self) -> None:
        """Require that no item is left.

        Raises:
            Incomplete: an item has no leaf in this log.
        """
        if self._next is not None:
            item = self._next
            raise Incomplete(
                Word.MISSING, f"the log has no leaf {item.leaf_index}, see line {item.line_number}"
            )


def _items_in(lines: Iterable[bytes]) -> Iterator[Item]:
    lowest = 0
    for number, line in enumerate(lines, 1):
        item = _item(number, line.removesuffix(b"\n"))
        if item is None:
            return
        if item.leaf_index < lowest:
            raise MalformedEvidence(f"line {number} is of a leaf below that of the line before")
        lowest = item.leaf_index + 1
        yield item


def _item(number: int, line: bytes) -> Item | None:
    """Return the item of a line; ``None`` for the line that says how an export ended."""
    found = _ITEM.fullmatch(line)
    if found:
        return Item(number, int(found[1]), found[2])
    _require_good_end(number, line)
    return None


def _require_good_end(number: int, line: bytes) -> None:
    try:
        ending = json.loads(line)
    except ValueError as error:
        raise MalformedEvidence(f"line {number} is no item of a feed") from error
    if isinstance(ending, dict) and "_error" in ending:
        raise Incomplete(Word.MISSING, f"the export broke off at line {number}")
    if not isinstance(ending, dict) or "_end" not in ending:
        raise MalformedEvidence(f"line {number} is no item of a feed")
