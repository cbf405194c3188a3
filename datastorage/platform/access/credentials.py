"""What a request says about its caller, before anybody believes it."""

import re
from functools import cached_property
from typing import Final
from wsgiref.types import WSGIEnvironment

from datastorage.platform.access.addresses import Address, peer_of
from datastorage.platform.access.errors import Unauthorized

MAX_TOKEN_CHARS: Final = 8000
KNOWN_SECONDS: Final = 600.0
"""A token that was accepted so long ago is known: its bearer is no stranger."""

ENDED_SESSION: Final = "datastorage.ended_session"
"""Key of the WSGI environ: the request has a session that does not count any more."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_NO_TOKEN: Final = "a bearer token is required"  # noqa: S105 - a sentence
_NO_BEARER: Final = "the Authorization header must be: Bearer <token>"


class Credentials:
    """The credentials of one request, each read when a mode asks for it: mode ``none`` alone never does."""

    def __init__(self, environ: WSGIEnvironment) -> None:
        self._environ = environ

    @cached_property
    def peer(self) -> Address | None:
        """The other end of the socket; ``None`` where it has no address."""
        return peer_of(self._environ)

    @property
    def token(self) -> str | None:
        """The bearer token, ``None`` where there is none that could be one."""
        return self._bearer[0]

    @property
    def fault(self) -> Unauthorized | None:
        """Why there is none."""
        return self._bearer[1]

    @property
    def has_authorization(self) -> bool:
        """Whether the request has an ``Authorization`` header or a session, good or bad."""
        return self.fault is None or self.fault.reason != "missing_auth_header"

    @property
    def user(self) -> str:
        """What ``X-Auth-Request-User`` says; it counts from trusted proxies only."""
        return self._text("HTTP_X_AUTH_REQUEST_USER")

    @property
    def groups(self) -> str:
        """What ``X-Auth-Request-Groups`` says."""
        return self._text("HTTP_X_AUTH_REQUEST_GROUPS")

    @cached_property
    def _bearer(self) -> tuple[str | None, Unauthorized | None]:
        header = self._text("HTTP_AUTHORIZATION").strip()
        if not header and ENDED_SESSION in self._environ:
            return None, Unauthorized(_NO_TOKEN, "session_invalid")
        return _bearer_token(header)

    def _text(self, name: str) -> str:
        text: str = self._environ.get(name, "")
        return text


def _bearer_token(header: str) -> tuple[str | None, Unauthorized | None]:
    if not header:
        return None, Unauthorized(_NO_TOKEN, "missing_auth_header")
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "bearer":
        return None, Unauthorized(_NO_BEARER, "invalid_auth_format")
    token = rest.strip()
    if not token:
        return None, Unauthorized(_NO_BEARER, "empty_bearer_token")
    # The server joins repeated headers with a comma, which no token has.
    if len(token) > MAX_TOKEN_CHARS or not _TOKEN.fullmatch(token):
        return None, Unauthorized(_NO_BEARER, "invalid_auth_format")
    return token, None
