"""What proofs keep: subtrees are read once, and read again when they turned out to be of another history."""

import pytest

from datastorage.ledger import known
from datastorage.ledger.known import KnownSubtrees
from datastorage.ledger.tree import inclusion_path
from tests.support.ledger_vectors import SIZE, subtrees


class Counted:
    def __init__(self) -> None:
        self.reads = 0
        self._read = subtrees()

    def __call__(self, height: int, number: int) -> bytes:
        self.reads += 1
        return self._read(height, number)


def test_path_is_the_same_and_read_once() -> None:
    kept, read = KnownSubtrees(), Counted()

    first = inclusion_path(17, SIZE, kept.or_read(read))
    reads = read.reads
    again = inclusion_path(17, SIZE, kept.or_read(read))

    assert first == again == inclusion_path(17, SIZE, subtrees())
    assert read.reads == reads > 0


def test_forgotten_subtrees_are_read_again() -> None:
    kept, read = KnownSubtrees(), Counted()
    inclusion_path(17, SIZE, kept.or_read(read))
    before = read.reads

    kept.forget()
    inclusion_path(17, SIZE, kept.or_read(read))

    assert read.reads == 2 * before


def test_no_more_are_kept_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MOST_SUBTREES", 4)
    kept, read = KnownSubtrees(), Counted()

    for index in range(20):
        assert inclusion_path(index, SIZE, kept.or_read(read)) == inclusion_path(index, SIZE, subtrees())

    assert len(kept._known) <= 4
