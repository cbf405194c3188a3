"""What is sent for a request: status, headers and body, with Flask or without it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Self
from wsgiref.types import WSGIEnvironment

from flask import Response
from werkzeug.wrappers import Response as WerkzeugResponse

Headers = list[tuple[str, str]]
NO_STORE: Final = "no-store"


@dataclass(slots=True)
class Reply:
    """One answer, complete but for the headers that every answer has.

    Attributes:
        status: the HTTP status.
        headers: names and values; ``Content-Type`` among them where there is a body.
        body: the bytes, or an iterable that is read while they are sent and closed at the end.
        cache_control: how long whom the answer serves.
        is_page: whether browsers show it.
    """

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes | Iterable[bytes] = b""
    cache_control: str = NO_STORE
    is_page: bool = False

    @classmethod
    def of_bytes(cls, status: int, media_type: str, body: bytes) -> Self:
        """Return an answer whose length is known; one without a body says nothing about it."""
        if status in _BODILESS:
            return cls(status)
        reply = cls(status, [("Content-Type", media_type), ("Content-Length", str(len(body)))], body)
        reply.is_page = media_type.startswith("text/html")
        return reply

    @classmethod
    def of_response(cls, response: WerkzeugResponse, environ: WSGIEnvironment) -> Self:
        """Return what Flask made, to be sent like any other answer."""
        body, _, headers = response.get_wsgi_response(environ)
        kept = [header for header in headers if header[0].lower() != "cache-control"]
        reply = cls(response.status_code, kept, body)
        reply.cache_control = response.headers.get("Cache-Control", reply.cache_control)
        reply.is_page = response.mimetype == "text/html"
        return reply

    @property
    def status_line(self) -> str:
        """Status and phrase, as WSGI wants them."""
        return _STATUS_LINES.get(self.status) or f"{self.status} UNKNOWN"

    @property
    def length(self) -> int | None:
        """Bytes of the body, ``None`` where only its end will tell."""
        if isinstance(self.body, bytes):
            return len(self.body)
        for name, value in self.headers:
            if name.lower() == "content-length":
                return int(value)
        return 0 if self.status in _BODILESS else None

    def as_response(self) -> Response:
        """Return the answer as Flask sends it: for requests that take the way through Flask."""
        headers = [*self.headers, ("Cache-Control", self.cache_control)]
        return Response(self.body, status=self.status, headers=headers)


class Streamed:
    """A body on its way out, until its last byte is sent or the client is gone.

    Args:
        body: read while it is sent; closed at the end if it can be.
        ends: called at the end, once each.
        is_sent: whether the client gets it at all; HEAD asks for the head alone.
    """

    __slots__ = ("_body", "_ends", "_is_sent")

    def __init__(self, body: Iterable[bytes], ends: list[Callable[[], None]], *, is_sent: bool) -> None:
        self._body = body
        self._ends = ends
        self._is_sent = is_sent

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body if self._is_sent else ())

    def close(self) -> None:
        """Finish: the server calls this after the last byte, and when the client went away."""
        close = getattr(self._body, "close", None)
        try:
            if close is not None:
                close()
        finally:
            ends, self._ends = self._ends, []
            for end in ends:
                end()


_STATUS_LINES = {each.value: f"{each.value} {each.phrase.upper()}" for each in HTTPStatus}
_BODILESS = frozenset({HTTPStatus.NO_CONTENT.value, HTTPStatus.NOT_MODIFIED.value})
