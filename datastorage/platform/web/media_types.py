"""Media types of request bodies: what a client may call them, and how large they may be."""

import re
import sys
from dataclasses import dataclass
from typing import Final

from datastorage.errors import UnsupportedMediaType

_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BodyType:
    """A kind of body.

    Attributes:
        name: its media type.
        spellings: every media type that is one; a missing one is as well.
        most_bytes: the limit of the kind, beside ``server.max_body_bytes``.
    """

    name: str
    spellings: re.Pattern[str]
    most_bytes: int = sys.maxsize

    def check(self, content_type: str) -> None:
        """Judge a ``Content-Type``.

        Raises:
            UnsupportedMediaType: it is another one, or not UTF-8.
        """
        media_type, _, parameters = content_type.partition(";")
        if media_type.strip() and not self.spellings.fullmatch(media_type.strip()):
            raise UnsupportedMediaType(f"the request body must be {self.name}")
        charset = _CHARSET.search(parameters)
        if charset and charset[1].lower() not in {"utf-8", "utf8"}:
            raise UnsupportedMediaType("the request body must be UTF-8")


JSON: Final = BodyType(
    "application/json", re.compile(r"application/(json|[\w.!#$&^+-]+\+json)", re.ASCII | re.IGNORECASE)
)
FORM: Final = BodyType(
    "application/x-www-form-urlencoded",
    re.compile(r"application/x-www-form-urlencoded", re.IGNORECASE),
    most_bytes=64 * 1024,
)
"""Sent by people who may not have logged in yet: no more of it is kept than the longest form needs."""
