"""How a tree grows: new leaf hashes in, the tiles that change and the new root out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from datastorage.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, root_of
from datastorage.ledger.tree import Frontier


def edge_of(size: int) -> Iterator[Tile]:
    """Yield the partial tile of each level of a tree of ``size`` leaves: all that its growth needs."""
    level, hashes = 0, size
    while hashes:
        number, width = divmod(hashes, TILE_WIDTH)
        if width:
            yield Tile(level, number, width)
        level, hashes = level + 1, hashes >> TILE_HEIGHT


class Growth:
    """A tree to whose end leaves are appended.

    Args:
        size: how many leaves it has.
        edge: the hashes of each partial tile, by its level.
    """

    def __init__(self, size: int, edge: Mapping[int, Sequence[bytes]]) -> None:
        self.size = size
        self._edge = {level: list(hashes) for level, hashes in edge.items()}
        self._changed: dict[tuple[int, int], list[bytes]] = {}

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """Append leaves."""
        for hashed in leaf_hashes:
            self._push(0, hashed)
            self.size += 1

    def _push(self, level: int, hashed: bytes) -> None:
        tile = self._edge.setdefault(level, [])
        tile.append(hashed)
        # The size counts the leaf only when all levels have it, so it still tells the number of each tile.
        self._changed[level, self.size >> TILE_HEIGHT * (level + 1)] = tile
        if len(tile) == TILE_WIDTH:
            del self._edge[level]
            self._push(level + 1, root_of(tile))

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        frontier = Frontier()
        for level in sorted(self._edge, reverse=True):
            for hashed in self._edge[level]:
                frontier.append(hashed, TILE_HEIGHT * level)
        return frontier.root()

    def forget_changes(self) -> None:
        """Let ``changed_tiles`` yield only what changes from now on."""
        self._changed = {}

    def changed_tiles(self) -> Iterator[tuple[Tile, bytes]]:
        """Yield each tile that was changed, with its hashes joined; the partial one of level 0 too."""
        for (level, number), hashes in self._changed.items():
            yield Tile(level, number, len(hashes)), b"".join(hashes)
