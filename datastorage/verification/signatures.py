"""Who has to have signed a checkpoint: the log itself and, where asked for, witnesses."""

from collections.abc import Sequence
from dataclasses import dataclass

from datastorage.ledger.checkpoint import Checkpoint, open_checkpoint
from datastorage.ledger.errors import MalformedEvidence, WrongSignature
from datastorage.ledger.keys import VerifierKey
from datastorage.ledger.note import Note
from datastorage.verification.doubts import Incomplete, Tampered, Word


@dataclass(frozen=True, slots=True)
class Witnesses:
    """The witnesses that are known, and how many of them have to have cosigned."""

    keys: Sequence[VerifierKey] = ()
    quorum: int = 0

    def names_below(self, note: Note) -> set[str]:
        """Return the names of those who cosigned.

        Raises:
            Tampered: a line of one of them is wrong.
        """
        lines = [(key, line) for line in note.signatures for key in self.keys if key.made(line)]
        for key, line in lines:
            if not key.signed(note.text, line):
                raise Tampered(Word.WITNESS, f"the cosignature of {key.name} is wrong")
        return {key.name for key, _ in lines}

    def require_enough(self, names: set[str]) -> None:
        """Compare those who cosigned with the quorum.

        Raises:
            Incomplete: there are fewer.
        """
        if len(names) < self.quorum:
            raise Incomplete(Word.WITNESS, f"{len(names)} known witnesses cosigned, wanted are {self.quorum}")


def signed_checkpoint(note: Note, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Return the checkpoint of a note that is signed by one of ``keys``.

    Raises:
        Tampered: it is not.
    """
    try:
        return open_checkpoint(note, keys)
    except (MalformedEvidence, WrongSignature) as error:
        raise Tampered(Word.SIGNATURE, str(error)) from error
