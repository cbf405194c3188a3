"""The ways in which an event can be sent, good ones and bad ones."""

import json
from collections.abc import Mapping
from typing import Final

from tests.support.builders import EVENTS, an_event

PLACE: Final = b"@CREDENTIALS@"
"""Where the lines of a credential go into the head of a request."""
HOST: Final = b"Host: localhost\r\nConnection: close\r\n"
EVENT: Final = json.dumps(an_event()).encode()

_HEAD: Final = b"POST %s HTTP/1.1\r\n%s%s" % (EVENTS.encode(), HOST, PLACE)
_LENGTH: Final = b"Content-Length: %d\r\n" % len(EVENT)
_WHOLE: Final = _HEAD + _LENGTH + b"\r\n" + EVENT
_HELD_BACK: Final = _HEAD + _LENGTH + b"Expect: 100-continue\r\n\r\n"
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
_CHUNKS: Final = b"%x\r\n%s\r\n0\r\n\r\n" % (len(EVENT), EVENT)


def framings() -> Mapping[str, bytes]:
    """Return requests by what is special about them."""
    return _OF_THE_BODY | _OF_THE_MESSAGE | {name: _with(header) for name, header in _HEADERS.items()}


def _with(header: bytes) -> bytes:
    return _HEAD + header + b"\r\n" + _LENGTH + b"\r\n" + EVENT


_OF_THE_BODY: Final = {
    "chunked": _HEAD + _CHUNKED + b"\r\n" + _CHUNKS,
    "chunked, the end missing": _HEAD + _CHUNKED + b"\r\n" + _CHUNKS[:-5],
    "chunked, in another case": _HEAD + b"transfer-encoding: CHUNKED\r\n\r\n" + _CHUNKS,
    "chunked and a length": _HEAD + _CHUNKED + _LENGTH + b"\r\n" + _CHUNKS,
    "another coding": _HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + _CHUNKS,
    "held back": _HELD_BACK,
    "chunks held back": _HEAD + _CHUNKED + b"Expect: 100-continue\r\n\r\n",
    "another expectation": _HEAD + _LENGTH + b"Expect: 200-ok\r\n\r\n" + EVENT,
    "100 KB": _HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000,
    "100 KB announced": _HEAD + b"Content-Length: 100000\r\n\r\n[",
    "11 MiB announced": _HEAD + b"Content-Length: 11534336\r\n\r\n",
    "two lengths": _HEAD + _LENGTH + b"Content-Length: 1\r\n\r\n" + EVENT,
    "negative length": _HEAD + b"Content-Length: -1\r\n\r\n" + EVENT,
    "no length": _HEAD + b"\r\n",
    "broken JSON": _HEAD + b"Content-Length: 1\r\n\r\n{",
}
_OF_THE_MESSAGE: Final = {
    "HTTP/1.0": _WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/1.0, not held back": _HELD_BACK.replace(b"HTTP/1.1", b"HTTP/1.0") + EVENT,
    "HTTP/0.9": b"GET %s\r\n\r\n" % EVENTS.encode(),
    "HTTP/2.0": _WHOLE.replace(b"HTTP/1.1", b"HTTP/2.0"),
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no host": _WHOLE.replace(b"Host: localhost\r\n", b""),
    "lines that end with LF": (_HEAD + _LENGTH).replace(b"\r\n", b"\n") + b"\r\n\r\n",
}
_HEADERS: Final = {
    "upgrade": b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
    "text": b"Content-Type: text/plain",
    "a form": b"Content-Type: application/x-www-form-urlencoded",
    "another charset": b"Content-Type: application/json; charset=utf-8",
    "compressed": b"Content-Encoding: gzip",
    "from a page": b"Origin: https://evil.example",
}
