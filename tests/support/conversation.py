"""One connection, many requests as bytes: what came back, answer by answer."""

import http.client
import io
from typing import Self

from tests.support.http import Api
from tests.support.raw_exchange import opened


class Conversation:
    """A connection on which requests are written as they are, also several at once."""

    def __init__(self, api: Api) -> None:
        self._peer = opened(api)

    def send(self, sent: bytes) -> None:
        """Send bytes at once."""
        self._peer.sendall(sent)

    def answers(self) -> list[tuple[int, bytes]]:
        """Return status and body of every answer until the service hangs up."""
        received = _Replay(b"".join(iter(lambda: self._peer.recv(65536), b"")))
        answers = []
        while received.has_more:
            response = http.client.HTTPResponse(received)  # type: ignore[arg-type] # anything with makefile
            response.begin()
            answers.append((response.status, response.read()))
        return answers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._peer.close()


class _Replay:
    """What was received, in the shape in which http.client wants a socket."""

    def __init__(self, received: bytes) -> None:
        self._received = _Unclosable(received)

    @property
    def has_more(self) -> bool:
        return self._received.tell() < len(self._received.getbuffer())

    def makefile(self, _mode: str) -> io.BytesIO:
        return self._received


class _Unclosable(io.BytesIO):
    """http.client closes its file after an answer that closes the connection."""

    def close(self) -> None:
        """Stay open."""
