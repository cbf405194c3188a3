"""The decoder of a kind of body: what its contract does not know is skipped and never becomes an object.

Ten megabytes of unknown members are a million Python objects, for nothing: they are ignored. So the decoder
is told which members there are; their names come from the contract, which also judges them. The documents
of a large body stay text until their size is known.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypedDict, cast

import msgspec

from datastorage.platform.web import json

SMALL_BYTES: Final = 64 * 1024
"""The documents of so small a body are decoded with it: the objects they become take a few MB at most."""

_OPENING = re.compile(rb"[ \t\n\r]*([{\[]?)")

OTHERS: Final[Any] = list[Any] | str | int | float | bool | None
"""JSON that is no object: its contract says what is wrong with it."""


def members(types: Mapping[str, Any]) -> Any:
    """Return the type of an object with these members, each of which may be absent."""
    # Made of data, which type checkers want to be a display.
    return cast("Any", TypedDict)("Members", dict(types), total=False)


class BodyDecoder:
    """Decodes bodies of one kind.

    Args:
        kind: returns the type of an object or an array, as msgspec understands it, by the type of documents.
        opening: the character it begins with.
        exactly: whether fractions become the ``Decimal`` that was written.
    """

    def __init__(self, kind: Callable[[Any], Any], opening: bytes, *, exactly: bool = False) -> None:
        self._opening = opening
        self._of_small = json.decoder(kind(Any), exactly=exactly)
        self._of_large = json.decoder(kind(msgspec.Raw), exactly=exactly)

    def decode(self, body: bytes, resource: str) -> Any:
        """Return the value, ``None`` where the body is JSON of another kind.

        Raises:
            InvalidInput: not one JSON value, on field ``body``.
        """
        if body[:1] != self._opening:
            found = _OPENING.match(body)
            if found is None or found[1] != self._opening:
                json.check(body, resource)
                return None
        decoder = self._of_small if len(body) <= SMALL_BYTES else self._of_large
        return json.decode_with(decoder, body, resource)
