"""Unknown members of large bodies, found before anything is made of them.

What is unknown is refused by name. A large body may have a million such names, and an answer that lists them
would be larger still: there the first one is enough.
"""

import re
from collections.abc import Iterable
from types import GenericAlias
from typing import Any, Final, NamedTuple

import msgspec

LARGE_BODY_BYTES: Final = 64 * 1024

_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`(?: - at `\$\[(\d+)\]`)?", re.DOTALL)
"""What msgspec says."""


class Found(NamedTuple):
    """A name that no member has; ``item`` is the place in an array."""

    name: str
    item: int | None


class UnknownNames:
    """Looks for names that no member has.

    Args:
        names: of all members, older ones included.
    """

    def __init__(self, names: Iterable[str]) -> None:
        members = [(name, msgspec.Raw, msgspec.UNSET) for name in names]
        known = msgspec.defstruct("Known", members, forbid_unknown_fields=True, gc=False)
        self._one: msgspec.json.Decoder[Any] = msgspec.json.Decoder(known)
        self._many: msgspec.json.Decoder[Any] = msgspec.json.Decoder(GenericAlias(list, known))

    def first(self, body: bytes) -> Found | None:
        """Return the first unknown name in a large object or in the objects of a large array."""
        if len(body) <= LARGE_BODY_BYTES:
            return None
        decoder = self._many if body.lstrip()[:1] == b"[" else self._one
        try:
            decoder.decode(body)
        except msgspec.ValidationError as error:
            found = _UNKNOWN.fullmatch(str(error))
            return Found(found[1], None if found[2] is None else int(found[2])) if found else None
        except (msgspec.DecodeError, RecursionError):
            return None  # what is wrong, the ordinary way says
        return None
