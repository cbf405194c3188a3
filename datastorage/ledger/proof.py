"""Proofs of C2SP ``tlog-proof``: index and path of a leaf, and the checkpoint they lead to, as one text."""

from dataclasses import dataclass
from typing import Final, Self

from datastorage.ledger.encoding import from_base64, from_decimal, to_base64
from datastorage.ledger.errors import MalformedEvidence
from datastorage.ledger.note import Note
from datastorage.ledger.tree import HASH_BYTES

FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
MAX_PATH: Final = 63


@dataclass(frozen=True, slots=True)
class Proof:
    """That a leaf is in a tree, for a reader who has the leaf and knows the key of the checkpoint."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: Note

    def __str__(self) -> str:
        """Return the text."""
        hashes = "".join(f"{to_base64(each)}\n" for each in self.path)
        return f"{FIRST_LINE}\nindex {self.index}\n{hashes}\n{self.checkpoint}"

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Read a proof; an ``extra`` line is skipped.

        Raises:
            MalformedEvidence: it is none.
        """
        head, gap, checkpoint = data.partition(b"\n\n")
        try:
            first, *lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise MalformedEvidence("the proof is not ASCII above its checkpoint") from error
        if first != FIRST_LINE or not gap:
            raise MalformedEvidence(f"the proof does not begin with {FIRST_LINE}")
        if lines and lines[0].startswith("extra "):
            lines = lines[1:]
        if not lines or not lines[0].startswith("index "):
            raise MalformedEvidence("the proof has no index")
        path = tuple(map(from_base64, lines[1:]))
        if len(path) > MAX_PATH or any(len(each) != HASH_BYTES for each in path):
            raise MalformedEvidence("a hash of the proof has the wrong length, or there are too many")
        return cls(from_decimal(lines[0].removeprefix("index ")), path, Note.of(checkpoint))
