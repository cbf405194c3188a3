"""How much of a request has arrived on a connection, and how much there will be."""

import re
from enum import Enum, auto
from typing import Final
from urllib.parse import unquote_to_bytes

from datastorage.platform.server.body_budget import SMALL_BODY_BYTES

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
        expects_continue: whether the client waits for ``100 Continue`` before it sends the body.
        is_head_alone: whether the gates are to judge the head before the body is awaited.
        refusal: why the request is given up, a value of the environ's ``REFUSAL``.
    """

    __slots__ = (
        "_is_judged", "_looked_at", "_max_body_bytes", "_needed", "body_bytes", "data", "expects_continue",
        "holds_turn", "is_chunked", "is_head_alone", "refusal", "reserved_bytes", "stage",
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
        self.expects_continue = False
        self.refusal: str | None = None
        self.is_head_alone = False
        self._is_judged = False
        self._looked_at = 0
        self._needed = 0
        self.take(data)

    def begin_handshake(self) -> None:
        """Note that the client has begun: the time for its first head includes that for the handshake."""
        self.stage = Stage.HEAD

    def take(self, chunk: bytes) -> None:
        """Add what was read."""
        # Blank lines before a request do not begin it.
        self.data += chunk if self.data else chunk.lstrip(b"\r\n")
        if self.data and self.stage is Stage.SILENT:
            self.stage = Stage.HEAD
        if self.stage is Stage.HEAD:
            self._look_for_head()
        if self.stage is Stage.BODY and len(self.data) >= self._needed:
            self.stage = Stage.COMPLETE

    def request_line(self) -> tuple[str, str, str]:
        """Return method, path as WSGI decodes it, and target; of another line what is in their places."""
        line = self.data[: max(self.data.find(b"\r\n"), 0)].decode("latin-1")
        method, _, rest = line.partition(" ")
        target = rest.partition(" ")[0]
        path = target.partition("?")[0]
        if "://" in path:  # absolute form
            path = "/" + path.partition("://")[2].partition("/")[2]
        return method, unquote_to_bytes(path).decode("latin-1") if "%" in path else path, target

    def shows_head_first(self) -> bool:
        """Tell, once, whether the gates have to judge the head before any more of the body is awaited.

        A small body costs less than its refusal, and on the connection it leaves another request can follow.
        """
        is_arriving = self.stage is Stage.BODY
        is_held_back = is_arriving and (self.body_bytes > SMALL_BODY_BYTES or self.expects_continue)
        if self._is_judged or not (is_held_back or self.is_chunked):
            return False
        self._is_judged = self.is_head_alone = True
        self.stage = Stage.COMPLETE
        return True

    def await_body(self, data: bytes) -> None:
        """Wait for the body whose head was admitted; ``data`` is what has arrived behind it."""
        self.data = bytearray(data)
        self.is_head_alone = False
        self._needed = self.body_bytes
        if not self.is_chunked and len(data) < self._needed:
            self.stage = Stage.BODY

    def hand_over(self) -> bytes:
        """Return what has arrived, for the parser."""
        data, self.data = bytes(self.data), bytearray()
        return data

    def _look_for_head(self) -> None:
        end = self.data.find(_END_OF_HEAD, max(self._looked_at - len(_END_OF_HEAD), 0))
        self._looked_at = len(self.data)
        if end >= 0:
            self._read_head(self._without_expectation(end + 2))
        elif len(self.data) > MAX_HEAD_BYTES:
            self.stage = Stage.COMPLETE

    def _without_expectation(self, end: int) -> bytes:
        """Take the expectation out of the head, or gunicorn would meet it before the request is judged."""
        head, found = _EXPECT.subn(b"", bytes(self.data[:end]))
        if found:
            self.data[:end] = head
            self.expects_continue = not head.partition(b"\r\n")[0].endswith(b" HTTP/1.0")
        return head

    def _read_head(self, head: bytes) -> None:
        self.is_chunked = bool(_TRANSFER_ENCODING.search(head))
        lengths = _CONTENT_LENGTH.findall(head)
        if self.is_chunked or len(lengths) != 1 or int(lengths[0]) > self._max_body_bytes:
            self.stage = Stage.COMPLETE
            return
        self.body_bytes = int(lengths[0])
        self._needed = len(head) + 2 + self.body_bytes
        self.stage = Stage.BODY
