"""What proofs need again and again, kept by each process: parts of the tree, and the newest checkpoints."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Row

from datastorage.ledger.reader import newest_cosigned, newest_note
from datastorage.ledger.tree import PerfectSubtree
from datastorage.platform.clock import monotonic_seconds

MOST_SUBTREES: Final = 1 << 15
"""Of 32 bytes each, beside what a dictionary adds: some megabytes."""
FRESH_SECONDS: Final = 1.0
"""How long clients may keep a checkpoint, too."""

Signed = Row[int, str]


class KnownSubtrees:
    """Hashes of perfect subtrees. They never change, unless the database has lost its newest leaves."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], bytes] = {}

    def or_read(self, read: PerfectSubtree) -> PerfectSubtree:
        """Return what finds a subtree here, or reads it."""

        def subtree(height: int, number: int) -> bytes:
            key = height, number
            found = self._known.get(key)
            if found is None:
                if len(self._known) >= MOST_SUBTREES:
                    self._known.clear()
                found = self._known[key] = read(height, number)
            return found

        return subtree

    def forget(self) -> None:
        """Read everything again."""
        self._known.clear()


class NewestNotes:
    """The newest cosigned checkpoint and the newest signed one, as of the last second."""

    def __init__(self, now: Callable[[], float] = monotonic_seconds) -> None:
        self._now = now
        self._looked_at = float("-inf")
        self._cosigned: Signed | None = None
        self._signed: Signed | None = None

    def covering(self, connection: Connection, index: int) -> Signed | None:
        """Return size and note of the newest cosigned checkpoint that covers a leaf, else of the newest."""
        if self._now() - self._looked_at >= FRESH_SECONDS:
            self._cosigned, self._signed = newest_cosigned(connection), newest_note(connection)
            self._looked_at = self._now()
        if self._cosigned is not None and self._cosigned.tree_size > index:
            return self._cosigned
        if self._signed is None or self._signed.tree_size <= index:
            self._signed = newest_note(connection)
        return None if self._signed is None or self._signed.tree_size <= index else self._signed
