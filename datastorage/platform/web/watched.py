"""The frame of WSGI middleware that sees an answer begin and end, each once."""

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Headers = list[tuple[str, str]]


class WatchedAnswer:
    """An answer on its way out, until its last byte is sent or the client is gone.

    Subclasses say what to do at ``answering`` and ``ended``.
    """

    __slots__ = ("_body", "_is_over", "_start_response")

    def __init__(self, start_response: StartResponse) -> None:
        self._body: Iterable[bytes] = ()
        self._start_response = start_response
        self._is_over = False

    def of(self, application: WSGIApplication, environ: WSGIEnvironment) -> Self:
        """Let ``application`` answer; when it raises instead, that is the end."""
        try:
            self._body = application(environ, self._start)
        except BaseException:
            self.close()
            raise
        return self

    def answering(self, status: str, headers: Headers) -> None:
        """The status is known, and nothing is sent yet; may come again when the application fails late."""

    def ended(self) -> None:
        """It is over, for better or worse."""

    def _start(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        self.answering(status, headers)
        return self._start_response(status, headers, exc_info)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """Finish: the server calls this after the last byte, and when the client went away."""
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            if not self._is_over:
                self._is_over = True
                self.ended()
