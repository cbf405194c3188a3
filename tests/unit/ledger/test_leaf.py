import json
from typing import Any
from uuid import UUID

import pytest

from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.leaf import NO_TAG, Kind, Leaf, leaf_of
from datastorage.ledger.tree import leaf_hash
from tests.support.ledger_vectors import content, texts

GOLDEN: list[dict[str, Any]] = [json.loads(line) for line in content("leaves.ndjson").splitlines()]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: str(golden["index"]))
def test_leaf_of_a_text_is_the_golden_one(golden: dict[str, Any]) -> None:
    leaf = leaf_of(texts()[golden["index"]])

    assert leaf.kind == golden["kind"]
    assert leaf.id == UUID(golden["id"])
    assert leaf.correlation_tag.hex() == golden["correlation_tag"]
    assert leaf.digest.hex() == golden["digest"]
    assert leaf.encoded().hex() == golden["leaf"]
    assert leaf_hash(leaf.encoded()).hex() == golden["leaf_hash"]


def test_leaf_taken_apart_and_put_together_is_the_same() -> None:
    leaf = leaf_of(texts()[11])

    assert Leaf.decoded(leaf.encoded()) == leaf


def test_statement_without_a_correlation_id_has_the_tag_of_zeros() -> None:
    statement = b'{"statement_id":"66eeeb85-f1bd-4e0b-9fd3-dfe2d75d265b","type":"pause"}'

    assert (leaf_of(statement).kind, leaf_of(statement).correlation_tag) == (Kind.STATEMENT, NO_TAG)


def test_numbers_too_long_for_an_integer_are_hashed_like_any_text() -> None:
    digits = "1" * 5000
    event = f'{{"event_id":"66eeeb85-f1bd-4e0b-9fd3-dfe2d75d265b","n":{digits}}}'

    assert leaf_of(event.encode()).kind == Kind.EVENT


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"type":"pause"}',
        b'{"type":"pause","statement_id":"66eeeb85-f1bd-4e0b-9fd3-dfe2d75d265b"}',
        b"[" * 100000,
        b'{"event_id":"66eeeb85"}',
        b'{"event_id":7}',
        b'{"event_id":',
        b'{"event_id":"66eeeb85-f1bd-4e0b-9fd3-dfe2d75d265b","a":"\xff"}',
    ],
)
def test_what_is_neither_event_nor_statement_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedEvidence):
        leaf_of(text)


def test_same_values_in_other_bytes_have_another_leaf() -> None:
    text = texts()[15]
    written_again = json.dumps(json.loads(text)).encode()

    assert leaf_of(written_again).id == leaf_of(text).id
    assert leaf_of(written_again).digest != leaf_of(text).digest


@pytest.mark.parametrize("length", [0, 56, 58])
def test_leaf_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(MalformedEvidence, match="a leaf has 57 bytes"):
        Leaf.decoded(bytes(length))
