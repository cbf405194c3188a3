"""The golden log of 280 leaves in ``tests/vectors/ledger``; its README says what each file is."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from datastorage.ledger.keys import SigningKey, VerifierKey
from datastorage.ledger.leaf import leaf_of
from datastorage.ledger.tiles import subtrees_in
from datastorage.ledger.tree import PerfectSubtree, leaf_hash

FOLDER = Path(__file__).parents[1] / "vectors" / "ledger"
SIZE = 280


def content(path: str) -> bytes:
    return (FOLDER / path).read_bytes()


def document(path: str) -> Any:
    return json.loads(content(path))


@cache
def texts() -> tuple[bytes, ...]:
    """Return the text behind each leaf."""
    return tuple(content("entries.ndjson").removesuffix(b"\n").split(b"\n"))


@cache
def leaves() -> tuple[bytes, ...]:
    return tuple(leaf_of(text).encoded() for text in texts())


@cache
def leaf_hashes() -> tuple[bytes, ...]:
    return tuple(map(leaf_hash, leaves()))


def subtrees() -> PerfectSubtree:
    """Return how to find subtrees in the tiles of the log."""

    def read(level: int, number: int) -> bytes:
        path = FOLDER / "log" / "tile" / str(level) / f"{number:03}"
        partial = path.with_suffix(".p")
        return path.read_bytes() if path.is_file() else next(partial.iterdir()).read_bytes()

    return subtrees_in(read)


def key(which: str = "key") -> VerifierKey:
    return VerifierKey.of(document("keys.json")[which]["vkey"])


def signing_key(which: str = "key") -> SigningKey:
    keys = document("keys.json")
    return SigningKey.of_pem(keys["origin"], keys[which]["private_pem"].encode())
