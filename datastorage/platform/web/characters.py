"""Which characters a text may have: free text all but U+0000, an identifier only those that can be seen.

An identifier is compared, copied from a list and typed into a terminal. What is not seen in it makes two
different ids look alike, reverses the order in which one is shown, or is a command to the terminal. Free text
keeps everything: line breaks, emoji joined by U+200D, text in both directions of writing.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from marshmallow import ValidationError

from datastorage.errors import Fault

# C0, DEL and C1; marks, embeddings and isolates of the direction of writing; characters of no width.
HIDDEN = r"\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
_HIDDEN = re.compile(f"[{HIDDEN}]")

NUL = Fault("must not contain NUL characters")


def fault_of_identifier(text: str) -> Fault | None:
    """Return what is wrong with the characters of an identifier."""
    # Every hidden character is unprintable, and asking for that takes a tenth of the time of the search.
    found = None if text.isprintable() else _HIDDEN.search(text)
    if found is None:
        return None
    if found[0] == "\x00":
        return NUL
    return Fault(f"must not contain control or invisible characters (got U+{ord(found[0]):04X})")


def _fault_of_free_text(text: str) -> Fault | None:
    return NUL if "\x00" in text else None


class Characters(NamedTuple):
    """A rule about characters; the patterns are for the API document.

    They are in the dialect that ECMA-262, Python and Rust read alike.

    Attributes:
        fault_of: returns what is wrong with a text.
        pattern: of the texts it lets pass.
        not_blank: of those that are more than white space.
    """

    fault_of: Callable[[str], Fault | None]
    pattern: str
    not_blank: str

    def require(self, text: str) -> None:
        """Refuse a text that has other characters.

        Raises:
            ValidationError: with one ``Fault``.
        """
        fault = self.fault_of(text)
        if fault is not None:
            raise ValidationError(fault)


FREE_TEXT = Characters(_fault_of_free_text, r"^[^\x00]*$", r"^[^\x00]*[^\s\x00\x1c-\x1f\x85][^\x00]*$")
IDENTIFIER = Characters(fault_of_identifier, f"^[^{HIDDEN}]*$", rf"^[^{HIDDEN}]*[^\s{HIDDEN}][^{HIDDEN}]*$")
