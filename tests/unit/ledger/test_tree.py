from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pymerkle
import pytest
import scitt_cose
from hypothesis import given
from hypothesis import strategies as st

from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.tree import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    frontier_of,
    inclusion_path,
    leaf_hash,
    root_of_path,
)
from tests.support.ledger_vectors import SIZE, document, leaf_hashes, leaves, subtrees

ROOTS = {int(size): bytes.fromhex(root) for size, root in document("roots.json").items()}
SIZES = st.integers(1, 70)


def leaf_hashes_of(size: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(size)]


def over(hashes: list[bytes]) -> Callable[[int, int], bytes]:
    def subtree(height: int, number: int) -> bytes:
        frontier = Frontier()
        for hashed in hashes[number << height : (number + 1) << height]:
            frontier.append(hashed)
        return frontier.root()

    return subtree


def root_of_first(hashes: list[bytes], size: int) -> bytes:
    return frontier_of(size, over(hashes)).root()


@pytest.mark.parametrize("size", ROOTS)
def test_appending_gives_the_golden_roots(size: int) -> None:
    frontier = Frontier()

    for hashed in leaf_hashes()[:size]:
        frontier.append(hashed)

    assert frontier.root() == ROOTS[size]


@pytest.mark.parametrize("size", ROOTS)
def test_frontier_found_in_tiles_has_the_golden_roots(size: int) -> None:
    assert frontier_of(size, subtrees()).root() == ROOTS[size]


def test_pymerkle_finds_the_same_root() -> None:
    theirs = pymerkle.InmemoryTree(algorithm="sha256")
    for leaf in leaves():
        theirs.append_entry(leaf)

    assert theirs.get_root() == ROOTS[SIZE]


@pytest.mark.parametrize(
    "golden", document("paths.json"), ids=lambda golden: f"{golden['index']}-{golden['size']}"
)
def test_inclusion_paths_are_the_golden_ones_and_lead_to_the_root(golden: dict[str, Any]) -> None:
    index, size = golden["index"], golden["size"]
    path = inclusion_path(index, size, subtrees())

    assert path == [b64decode(each) for each in golden["path"]]
    assert root_of_path(index, size, leaf_hashes()[index], path) == ROOTS[size]


@pytest.mark.parametrize(
    "golden", document("consistency.json"), ids=lambda golden: f"{golden['old']}-{golden['new']}"
)
def test_consistency_proofs_are_the_golden_ones(golden: dict[str, Any]) -> None:
    proof = consistency_proof(golden["old"], golden["new"], subtrees())

    assert proof == [b64decode(each) for each in golden["proof"]]


@given(SIZES, st.data())
def test_every_leaf_has_a_path_that_scitt_cose_accepts(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    hashes = leaf_hashes_of(size)
    root = root_of_first(hashes, size)

    path = inclusion_path(index, size, over(hashes))

    assert root_of_path(index, size, hashes[index], path) == root
    entry = str(index).encode().hex()
    assert scitt_cose.verify_inclusion(entry, index, size, [each.hex() for each in path], root.hex())


@given(SIZES, st.data())
def test_every_older_tree_has_a_proof_that_scitt_cose_accepts(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    hashes = leaf_hashes_of(size)
    roots = root_of_first(hashes, old).hex(), root_of_first(hashes, size).hex()

    proof = consistency_proof(old, size, over(hashes))

    assert scitt_cose.verify_consistency(*roots, old, size, [each.hex() for each in proof])


def test_subtrees_appended_whole_give_the_same_root() -> None:
    hashes = leaf_hashes_of(11)
    frontier = Frontier()

    frontier.append(root_of_first(hashes, 8), height=3)
    for hashed in hashes[8:]:
        frontier.append(hashed)

    assert (frontier.size, frontier.root()) == (11, root_of_first(hashes, 11))


def test_copy_of_a_frontier_grows_by_itself() -> None:
    frontier = Frontier()
    frontier.append(leaf_hash(b"a"))

    frontier.copy().append(leaf_hash(b"b"))

    assert (frontier.size, frontier.root()) == (1, leaf_hash(b"a"))


def test_empty_tree_has_the_root_of_nothing() -> None:
    assert Frontier().root() == EMPTY_ROOT == ROOTS[0]
    assert consistency_proof(0, 5, subtrees()) == []


@pytest.mark.parametrize(("index", "size"), [(-1, 4), (4, 4), (0, 0)])
def test_path_of_a_leaf_that_is_not_there_is_refused(index: int, size: int) -> None:
    with pytest.raises(MalformedEvidence, match="has no leaf"):
        root_of_path(index, size, EMPTY_ROOT, [])


@pytest.mark.parametrize(("hashes", "which"), [(1, "too few"), (3, "too many")])
def test_path_of_another_length_is_refused(hashes: int, which: str) -> None:
    with pytest.raises(MalformedEvidence, match=which):
        root_of_path(0, 4, EMPTY_ROOT, [EMPTY_ROOT] * hashes)
