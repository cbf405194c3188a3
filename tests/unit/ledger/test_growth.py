from itertools import pairwise

import pytest

from datastorage.ledger.growth import Growth, edge_of
from datastorage.ledger.tiles import Tile, hashes_in, tiles_of
from datastorage.ledger.tree import Frontier, leaf_hash
from tests.support.ledger_vectors import SIZE, content, document, leaf_hashes


def grown(sizes: list[int], hashes: list[bytes]) -> tuple[Growth, dict[str, bytes]]:
    """Grow a tree in steps, each of which knows only the tiles that were kept of those before."""
    kept: dict[str, bytes] = {}
    growth = Growth(0, {})
    for old, new in pairwise([0, *sizes]):
        edge = {tile.level: hashes_in(kept[tile.path]) for tile in edge_of(old)}
        growth = Growth(old, edge)
        growth.extend(hashes[old:new])
        kept |= {tile.path: data for tile, data in growth.changed_tiles()}
    return growth, kept


@pytest.mark.parametrize(
    "sizes", [[SIZE], [1, SIZE], [255, 256, 257, SIZE], [256, SIZE], list(range(1, SIZE + 1))]
)
def test_log_grown_in_any_steps_has_the_golden_tiles_and_root(sizes: list[int]) -> None:
    growth, kept = grown(sizes, list(leaf_hashes()))

    assert growth.root().hex() == document("roots.json")[str(SIZE)]
    for level in (0, 1):
        for tile in tiles_of(level, SIZE):
            assert kept[tile.path] == content(f"log/{tile.path}")


@pytest.mark.parametrize("sizes", [[70_000], [65_535, 65_536, 65_537, 70_000], [4096, 65_792, 70_000]])
def test_tree_of_three_levels_has_the_root_of_its_leaves(sizes: list[int]) -> None:
    hashes = [leaf_hash(number.to_bytes(4)) for number in range(70_000)]
    frontier = Frontier()
    for hashed in hashes:
        frontier.append(hashed)

    growth, kept = grown(sizes, hashes)

    assert (growth.size, growth.root()) == (70_000, frontier.root())
    assert set(kept) >= {tile.path for level in range(3) for tile in tiles_of(level, 70_000)}


def test_edge_has_the_partial_tile_of_each_level() -> None:
    assert list(edge_of(0)) == []
    assert list(edge_of(256)) == [Tile(1, 0, 1)]
    assert list(edge_of(70_000)) == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]


def test_growth_by_nothing_changes_nothing() -> None:
    hashes = list(leaf_hashes())
    growth = Growth(SIZE, {0: hashes[256:], 1: hashes_in(content("log/tile/1/000.p/1"))})

    growth.extend([])

    assert list(growth.changed_tiles()) == []
    assert growth.root().hex() == document("roots.json")[str(SIZE)]
