"""What HTTP forbids and gunicorn's parser lets pass (RFC 9110, RFC 9112).

A proxy in front of the service may read such a request in another way than the service does, so it is refused
and its connection ends, like anything else that is no HTTP.
"""

import re
from typing import Any, Final

from gunicorn.http.errors import InvalidHeader, InvalidRequestLine, UnsupportedTransferCoding

_HTTP_1_1: Final = (1, 1)
_HOST: Final = r"(\[[0-9A-Fa-fv:.]+\]|[\w.~!$&'()*+,;=%-]*)(:\d*)?"
_AUTHORITY = re.compile(_HOST, re.ASCII)
_ABSOLUTE_TARGET = re.compile(rf"https?://(?![:/?]){_HOST}([/?].*)?", re.ASCII | re.IGNORECASE)
_PERSISTENCE: Final = frozenset({"close", "keep-alive"})


def check_head(request: Any) -> None:
    """Judge a request that gunicorn has parsed.

    Args:
        request: its target and headers; is closed after the answer if its client asks for that in a list.

    Raises:
        InvalidRequestLine: its target has a fragment, or is absolute and no address of HTTP.
        InvalidHeader: ``Host`` is missing or no host.
        UnsupportedTransferCoding: its body is coded in another way than in chunks.
    """
    uri = request.uri
    if "#" in uri or not (uri.startswith("/") or uri == "*" or _ABSOLUTE_TARGET.fullmatch(uri)):
        raise InvalidRequestLine(uri)
    has_host = request.version < _HTTP_1_1
    for name, value in request.headers:
        if name == "HOST":
            has_host = True
            if not _AUTHORITY.fullmatch(value):
                raise InvalidHeader(name)
        elif name == "TRANSFER-ENCODING" and value.lower() != "chunked":
            # The parser has seen to it that the last coding is "chunked".
            raise UnsupportedTransferCoding(value)
        elif name == "CONNECTION" and value.lower() not in _PERSISTENCE:
            _close_if_asked(request, value)
    if not has_host:
        raise InvalidHeader("HOST")


def _close_if_asked(request: Any, options: str) -> None:
    if "close" in {each.strip(" \t").lower() for each in options.split(",")}:
        request.force_close()
