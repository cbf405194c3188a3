"""Tiles of C2SP ``tlog-tiles``: 256 hashes of one level, or 256 leaves, under a path of their own.

Level 0 has the hashes of leaves; hash ``i`` of level ``l`` is the root of the full tile ``i`` below it. The
last tile of a level may be partial; its path says its width. A bundle of entries has each leaf after its
length in two bytes.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.tree import HASH_BYTES, Frontier, PerfectSubtree

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
MAX_LEVEL: Final = 63
ENTRIES: Final = -1
"""The level of bundles of entries."""

_PATH: Final = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True)
class Tile:
    """The name of a tile: its level, its number in the level, and how many of its 256 places are taken."""

    level: int
    number: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The path below the base of the log."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{_number_path(self.number)}{partial}"

    @classmethod
    def at(cls, path: str) -> Self:
        """Return the tile that a path names.

        Raises:
            MalformedEvidence: it names none; a number has one spelling only.
        """
        found = _PATH.fullmatch(path)
        if found is None:
            raise MalformedEvidence("not the path of a tile")
        level, number, width = found.groups()
        tile = cls(
            ENTRIES if level == "entries" else int(level),
            int(number.replace("x", "").replace("/", "")),
            int(width or TILE_WIDTH),
        )
        if tile.level > MAX_LEVEL or tile.path != path:
            raise MalformedEvidence("not the path of a tile")
        return tile


def _number_path(number: int) -> str:
    """Return digits in groups of three, each but the last marked with an x: 1234067 is x001/x234/067."""
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03}")
    return "/".join(reversed(groups))


def tiles_of(level: int, size: int) -> Iterator[Tile]:
    """Yield the tiles of a level of a tree of ``size`` leaves, the partial one last."""
    hashes = size >> TILE_HEIGHT * max(level, 0)
    full, rest = divmod(hashes, TILE_WIDTH)
    yield from (Tile(level, number) for number in range(full))
    if rest:
        yield Tile(level, full, rest)


def hashes_in(tile: bytes) -> list[bytes]:
    """Return the hashes of a tile."""
    return [tile[start : start + HASH_BYTES] for start in range(0, len(tile), HASH_BYTES)]


def root_of(hashes: Iterable[bytes]) -> bytes:
    """Return the root of the tree over ``hashes``."""
    frontier = Frontier()
    for hashed in hashes:
        frontier.append(hashed)
    return frontier.root()


def subtrees_in(read: Callable[[int, int], bytes]) -> PerfectSubtree:
    """Return how to find perfect subtrees in tiles; ``read`` returns the hashes of a level's tile, joined."""

    def subtree(height: int, number: int) -> bytes:
        level, rest = divmod(height, TILE_HEIGHT)
        first = number << rest
        tile, start = read(level, first // TILE_WIDTH), first % TILE_WIDTH
        return root_of(hashes_in(tile[start * HASH_BYTES : (start + (1 << rest)) * HASH_BYTES]))

    return subtree


def bundle_of(leaves: Iterable[bytes]) -> bytes:
    """Return leaves as a bundle of entries."""
    return b"".join(len(leaf).to_bytes(2) + leaf for leaf in leaves)


def leaves_in(bundle: bytes) -> list[bytes]:
    """Return the leaves of a bundle of entries.

    Raises:
        MalformedEvidence: the bundle ends within a leaf.
    """
    leaves, start = [], 0
    while start < len(bundle):
        end = start + 2 + int.from_bytes(bundle[start : start + 2])
        leaves.append(bundle[start + 2 : end])
        start = end
    if start > len(bundle):
        raise MalformedEvidence("the bundle ends within a leaf")
    return leaves
