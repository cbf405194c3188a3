"""Signed notes of C2SP ``signed-note``: a text, an empty line, and one line for each signature."""

from dataclasses import dataclass
from typing import Final, Self

from datastorage.ledger.encoding import from_base64, to_base64
from datastorage.ledger.errors import MalformedEvidence

KEY_ID_BYTES: Final = 4
MAX_SIGNATURES: Final = 16
_LINE_START: Final = "\N{EM DASH} "


@dataclass(frozen=True, slots=True)
class Signature:
    """One line below a note: who signed, with which key, and what came out."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line as it stands in the note, with its end."""
        return f"{_LINE_START}{self.name} {to_base64(self.key_id + self.signature)}\n"

    @classmethod
    def of(cls, line: str) -> Self:
        """Read a line.

        Raises:
            MalformedEvidence: it is no line of a signature.
        """
        name, space, encoded = line.removeprefix(_LINE_START).partition(" ")
        if not line.startswith(_LINE_START) or not name or not space:
            raise MalformedEvidence("a line of the note is no signature")
        signed = from_base64(encoded)
        if len(signed) <= KEY_ID_BYTES:
            raise MalformedEvidence("a signature of the note is too short")
        return cls(name, signed[:KEY_ID_BYTES], signed[KEY_ID_BYTES:])


@dataclass(frozen=True, slots=True)
class Note:
    """A text and the signatures below it, none of them checked."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        """Return the note as it is served and kept."""
        return f"{self.text}\n{''.join(each.line for each in self.signatures)}"

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Read a note.

        Raises:
            MalformedEvidence: it is none, or it has more than 16 signatures.
        """
        try:
            whole = data.decode()
        except UnicodeDecodeError as error:
            raise MalformedEvidence("the note is not UTF-8") from error
        if any(character < " " and character != "\n" for character in whole):
            raise MalformedEvidence("the note has control characters")
        text, gap, below = whole.rpartition("\n\n")
        if not gap or not text or not below.endswith("\n"):
            raise MalformedEvidence("the note has no signatures")
        lines = below.removesuffix("\n").split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise MalformedEvidence(f"the note has more than {MAX_SIGNATURES} signatures")
        return cls(f"{text}\n", tuple(map(Signature.of, lines)))
