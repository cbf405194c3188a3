"""The Merkle tree of RFC 6962, section 2.1, and RFC 9162: hashes, roots and proofs.

A subtree is *perfect* when it has 2^h leaves; its position is its height ``h`` and its number among those of
that height. Whoever makes a proof hands in a function that returns the hash of a perfect subtree; where the
hashes are kept is not this module's business.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from hashlib import sha256
from typing import Final

from datastorage.ledger.errors import MalformedEvidence

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256().digest()

PerfectSubtree = Callable[[int, int], bytes]
"""Returns the hash of the perfect subtree of a height and a number."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The perfect subtrees that a tree is made of, the largest first: all that appending needs to know."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self._hashes = list(hashes)

    def copy(self) -> "Frontier":
        """Return a frontier that grows by itself from here."""
        return Frontier(self.size, self._hashes)

    def append(self, subtree: bytes, height: int = 0) -> None:
        """Append a perfect subtree of 2^height leaves; the size is a multiple of that."""
        position = self.size >> height
        while position & 1:
            subtree = node_hash(self._hashes.pop(), subtree)
            position >>= 1
        self._hashes.append(subtree)
        self.size += 1 << height

    def root(self) -> bytes:
        """Return the hash of the whole tree."""
        if not self._hashes:
            return EMPTY_ROOT
        return reduce(lambda right, left: node_hash(left, right), reversed(self._hashes))


def frontier_of(size: int, subtree: PerfectSubtree) -> Frontier:
    """Return the frontier of the first ``size`` leaves."""
    hashes, start = [], 0
    for height in reversed(range(size.bit_length())):
        if size >> height & 1:
            hashes.append(subtree(height, start >> height))
            start += 1 << height
    return Frontier(size, hashes)


def inclusion_path(index: int, size: int, subtree: PerfectSubtree) -> list[bytes]:
    """Return the hashes that lead from a leaf to the root of the first ``size`` leaves (RFC 6962, 2.1.1)."""
    path, start, end = [], 0, size
    while end - start > 1:
        middle = _middle(start, end)
        if index < middle:
            path.append(_range_hash(middle, end, subtree))
            end = middle
        else:
            path.append(_range_hash(start, middle, subtree))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, subtree: PerfectSubtree) -> list[bytes]:
    """Return the hashes that show that the first ``old`` of ``new`` leaves are the same (2.1.2)."""
    if old == 0:
        return []
    proof, start, end = [], 0, new
    while end != old:
        middle = _middle(start, end)
        if old <= middle:
            proof.append(_range_hash(middle, end, subtree))
            end = middle
        else:
            proof.append(_range_hash(start, middle, subtree))
            start = middle
    if start > 0:  # else it is the old root, which its reader has
        proof.append(_range_hash(start, end, subtree))
    return proof[::-1]


def root_of_path(index: int, size: int, hashed: bytes, path: Sequence[bytes]) -> bytes:
    """Return the root to which ``path`` leads from the hash of a leaf (RFC 9162, 2.1.3.2).

    Raises:
        MalformedEvidence: the path is too short or too long, or there is no leaf of that index.
    """
    if not 0 <= index < size:
        raise MalformedEvidence(f"a tree of {size} leaves has no leaf {index}")
    position, last = index, size - 1
    for sibling in path:
        if last == 0:
            raise MalformedEvidence("the path has too many hashes")
        if position & 1 or position == last:
            hashed = node_hash(sibling, hashed)
            while position and not position & 1:  # the right edge: these levels have no sibling
                position, last = position >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise MalformedEvidence("the path has too few hashes")
    return hashed


def _middle(start: int, end: int) -> int:
    """Return where a tree of more than one leaf parts: at the largest power of two below its size."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def _range_hash(start: int, end: int, subtree: PerfectSubtree) -> bytes:
    """Return the hash of the leaves from ``start`` to ``end``, a range that the tree's shape has."""
    width = end - start
    height = width.bit_length() - 1
    if width == 1 << height:
        return subtree(height, start >> height)
    middle = _middle(start, end)
    return node_hash(_range_hash(start, middle, subtree), _range_hash(middle, end, subtree))
