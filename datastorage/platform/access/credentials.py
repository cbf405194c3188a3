"""What a request says about its caller, before anybody believes it."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Self
from wsgiref.types import WSGIEnvironment

from datastorage.platform.access.errors import Unauthorized

MAX_TOKEN_CHARS: Final = 8000

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_NO_TOKEN: Final = "a bearer token is required"  # noqa: S105 - a sentence
_NO_BEARER: Final = "the Authorization header must be: Bearer <token>"

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of one request.

    Attributes:
        peer: the other end of the socket; ``None`` where it has no address.
        token: the bearer token, ``None`` where there is none that could be one.
        fault: why there is none.
        user: what ``X-Auth-Request-User`` says; it counts from trusted proxies only.
        groups: what ``X-Auth-Request-Groups`` says.
    """

    peer: Address | None
    token: str | None
    fault: Unauthorized | None
    user: str
    groups: str

    @classmethod
    def of(cls, environ: WSGIEnvironment) -> Self:
        """Read the headers of a request."""
        token, fault = _bearer_token(environ.get("HTTP_AUTHORIZATION", "").strip())
        return cls(
            peer=peer_of(environ),
            token=token,
            fault=fault,
            user=environ.get("HTTP_X_AUTH_REQUEST_USER", ""),
            groups=environ.get("HTTP_X_AUTH_REQUEST_GROUPS", ""),
        )

    @property
    def has_authorization(self) -> bool:
        """Whether the request has an ``Authorization`` header, good or bad."""
        return self.fault is None or self.fault.reason != "missing_auth_header"


def peer_of(environ: WSGIEnvironment) -> Address | None:
    """Return the address of the socket's other end; IPv4 within IPv6 as IPv4."""
    try:
        address = ip_address(environ.get("REMOTE_ADDR", ""))
    except ValueError:  # a Unix socket
        return None
    return getattr(address, "ipv4_mapped", None) or address


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
