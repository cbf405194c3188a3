"""How much of a request has arrived on a connection, and how much there will be."""

import re
from enum import Enum, auto
from typing import Final

MAX_HEAD_BYTES: Final = 128 * 1024
"""More than the parser takes, so that it refuses a longer head with the right status."""

_END_OF_HEAD: Final = b"\r\n\r\n"
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_TRANSFER_ENCODING = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)


class Stage(Enum):
    """How much of a request is there."""

    SILENT = auto()
    HEAD = auto()
    BODY = auto()
    COMPLETE = auto()
    """A thread can carry it out; of a chunked body only the head is there."""


class Arrival:
    """What has arrived of one request, and how much there will be.

    This only decides how long to wait; the parser reads the same bytes again and judges them.

    Args:
        max_body_bytes: a longer body is not waited for; the application refuses it by its head.

    Attributes:
        data: what has arrived, from the first byte of the request on.
        stage: how much of the request that is.
        body_bytes: length of the body that is waited for.
        is_chunked: whether a thread has to read the body.
        reserved_bytes: what the budget holds for it.
        holds_turn: whether a thread may read its chunked body.
        refusal: why its body is given up: ``late`` or ``no_room``.
    """

    __slots__ = (
        "_looked_at", "_max_body_bytes", "_needed", "body_bytes", "data", "holds_turn", "is_chunked",
        "refusal", "reserved_bytes", "stage",
    )  # fmt: skip

    def __init__(self, max_body_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self.reserved_bytes = 0
        self.holds_turn = False
        self.begin(b"")

    def begin(self, data: bytes) -> None:
        """Start over with what arrived after the previous request."""
        self.data = bytearray()
        self.stage = Stage.SILENT
        self.body_bytes = 0
        self.is_chunked = False
        self.refusal: str | None = None
        self._looked_at = 0
        self._needed = 0
        self.take(data)

    def take(self, chunk: bytes) -> None:
        """Add what was read."""
        # Blank lines before a request do not begin it.
        self.data += chunk.lstrip(b"\r\n") if self.stage is Stage.SILENT else chunk
        if self.data and self.stage is Stage.SILENT:
            self.stage = Stage.HEAD
        if self.stage is Stage.HEAD:
            self._look_for_head()
        if self.stage is Stage.BODY and len(self.data) >= self._needed:
            self.stage = Stage.COMPLETE

    def asks_for(self, paths: tuple[bytes, ...]) -> bool:
        """Return whether the path begins with one of ``paths``."""
        return self.data.partition(b" ")[2].startswith(paths)

    def hand_over(self) -> bytes:
        """Return what has arrived, for the parser."""
        data, self.data = bytes(self.data), bytearray()
        return data

    def take_expectation(self) -> bool:
        """Return whether the client waits for ``100 Continue``; called once, when the head is complete."""
        end = self.data.find(_END_OF_HEAD)
        head, found = _EXPECT.subn(b"", bytes(self.data[: end + 2]))
        if found:
            self._needed -= end + 2 - len(head)
            self.data[: end + 2] = head
        return bool(found)

    def _look_for_head(self) -> None:
        end = self.data.find(_END_OF_HEAD, max(self._looked_at - len(_END_OF_HEAD), 0))
        self._looked_at = len(self.data)
        if end >= 0:
            self._read_head(bytes(self.data[: end + 2]))
        elif len(self.data) > MAX_HEAD_BYTES:
            self.stage = Stage.COMPLETE

    def _read_head(self, head: bytes) -> None:
        self.is_chunked = bool(_TRANSFER_ENCODING.search(head))
        lengths = _CONTENT_LENGTH.findall(head)
        if self.is_chunked or len(lengths) != 1 or int(lengths[0]) > self._max_body_bytes:
            self.stage = Stage.COMPLETE
            return
        self.body_bytes = int(lengths[0])
        self._needed = len(head) + 2 + self.body_bytes
        self.stage = Stage.BODY
