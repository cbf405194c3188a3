"""Checkpoints of C2SP ``tlog-checkpoint``: origin, size and root of the tree, as a signed note."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from datastorage.ledger.encoding import from_base64, from_decimal, to_base64
from datastorage.ledger.errors import MalformedEvidence, WrongSignature
from datastorage.ledger.keys import SigningKey, VerifierKey
from datastorage.ledger.note import Note
from datastorage.ledger.tree import HASH_BYTES


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says about itself at one size."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n"

    def signed(self, keys: Iterable[SigningKey]) -> Note:
        """Return the note with one line for each key."""
        text = self.text
        return Note(text, tuple(key.sign_note(text) for key in keys))

    @classmethod
    def of(cls, text: str) -> Self:
        """Read the text of a checkpoint; further lines are extensions and say nothing to us.

        Raises:
            MalformedEvidence: it is none.
        """
        match text.removesuffix("\n").split("\n"):
            case [origin, size, encoded, *extensions] if origin and all(extensions):
                root = from_base64(encoded)
            case _:
                raise MalformedEvidence("the checkpoint has no origin, size and root")
        if len(root) != HASH_BYTES:
            raise MalformedEvidence(f"the root of the checkpoint has {len(root)} bytes")
        return cls(origin, from_decimal(size), root)


def open_checkpoint(note: Note, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Return the checkpoint of a note that one of ``keys`` signed under the checkpoint's own origin.

    Lines of other keys are ignored; a line that claims to be of one of ``keys`` has to be good.

    Raises:
        MalformedEvidence: the text of the note is no checkpoint.
        WrongSignature: none of the keys signed it, or a signature is wrong.
    """
    checkpoint = Checkpoint.of(note.text)
    claims = [(key, line) for line in note.signatures for key in keys if key.made(line)]
    if not any(key.name == checkpoint.origin for key, _ in claims):
        raise WrongSignature(
            f"no given key signed the checkpoint of {checkpoint.origin}, size {checkpoint.size}"
        )
    if not all(key.signed(note.text, line) for key, line in claims):
        raise WrongSignature(
            f"the checkpoint of {checkpoint.origin}, size {checkpoint.size}, is signed wrongly"
        )
    return checkpoint
