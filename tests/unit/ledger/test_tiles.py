import pytest

from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.tiles import ENTRIES, Tile, bundle_of, hashes_in, leaves_in, root_of, tiles_of
from tests.support.ledger_vectors import SIZE, content, leaf_hashes, leaves

PATHS = {
    "tile/0/000": Tile(0, 0),
    "tile/63/005.p/1": Tile(63, 5, 1),
    "tile/1/x001/x234/067": Tile(1, 1234067),
    "tile/entries/x001/000.p/255": Tile(ENTRIES, 1000, 255),
}


@pytest.mark.parametrize("path", PATHS)
def test_path_and_tile_name_each_other(path: str) -> None:
    assert Tile.at(path) == PATHS[path]
    assert PATHS[path].path == path


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/0/x00/000",
        "tile/0/x000/001",
        "tile/64/000",
        "tile/00/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/-1/000",
        "tile/0/000/",
        "tile/0/\N{ARABIC-INDIC DIGIT ONE}00",
        "tile/0/000\n",
    ],
)
def test_other_spellings_name_no_tile(path: str) -> None:
    with pytest.raises(MalformedEvidence):
        Tile.at(path)


def test_tiles_of_a_level_end_with_the_partial_one() -> None:
    assert list(tiles_of(0, SIZE)) == [Tile(0, 0), Tile(0, 1, 24)]
    assert list(tiles_of(ENTRIES, SIZE)) == [Tile(ENTRIES, 0), Tile(ENTRIES, 1, 24)]
    assert list(tiles_of(1, SIZE)) == [Tile(1, 0, 1)]
    assert list(tiles_of(2, SIZE)) == []
    assert list(tiles_of(0, 256)) == [Tile(0, 0)]


def test_golden_tiles_have_the_hashes_of_the_leaves() -> None:
    tiles = [content(f"log/{tile.path}") for tile in tiles_of(0, SIZE)]

    assert [hashed for tile in tiles for hashed in hashes_in(tile)] == list(leaf_hashes())
    assert content("log/tile/1/000.p/1") == root_of(hashes_in(tiles[0]))


def test_golden_bundles_have_the_leaves() -> None:
    bundles = [content(f"log/{tile.path}") for tile in tiles_of(ENTRIES, SIZE)]

    assert [leaf for bundle in bundles for leaf in leaves_in(bundle)] == list(leaves())
    assert bundles == [bundle_of(leaves()[:256]), bundle_of(leaves()[256:])]


@pytest.mark.parametrize("bundle", [b"\0", b"\0\5abcd", b"\0\1a\0"])
def test_bundle_that_ends_within_a_leaf_is_refused(bundle: bytes) -> None:
    with pytest.raises(MalformedEvidence, match="ends within a leaf"):
        leaves_in(bundle)
