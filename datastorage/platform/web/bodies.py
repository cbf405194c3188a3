"""The decoder of a kind of body: what its contract does not know is skipped and never becomes an object.

Ten megabytes of unknown members are a million Python objects, for nothing: they are ignored. So the decoder
is told which members there are; their names come from the contract, which also judges them.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, TypedDict, cast

from datastorage.platform.web import json

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
        kind: the type of an object or an array, as msgspec understands it.
        opening: the character it begins with.
        exactly: whether fractions become the ``Decimal`` that was written.
    """

    def __init__(self, kind: Any, opening: bytes, *, exactly: bool = False) -> None:
        self._opening = opening
        self._decoder = json.decoder(kind, exactly=exactly)

    def decode(self, body: bytes, resource: str) -> Any:
        """Return the value, ``None`` where the body is JSON of another kind.

        Raises:
            InvalidInput: not one JSON value, on field ``body``.
        """
        found = _OPENING.match(body)
        if found is None or found[1] != self._opening:
            json.check(body, resource)
            return None
        return json.decode_with(self._decoder, body, resource)
