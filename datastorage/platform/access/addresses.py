"""Addresses of callers: the other end of a socket, and under which key one is counted."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from wsgiref.types import WSGIEnvironment

Address = IPv4Address | IPv6Address

_NETWORK_BITS: Final = 64
"""Of an IPv6 address: whoever has one has the rest of its network as well."""


def peer_of(environ: WSGIEnvironment) -> Address | None:
    """Return the address of the socket's other end; IPv4 within IPv6 as IPv4."""
    try:
        address = ip_address(environ.get("REMOTE_ADDR", ""))
    except ValueError:  # a Unix socket
        return None
    return getattr(address, "ipv4_mapped", None) or address


def came_by_tls(environ: WSGIEnvironment, is_trusted_proxy: Callable[[str], bool]) -> bool:
    """Tell whether a client's connection is encrypted, here or, as a trusted proxy says, in front of it."""
    if environ.get("wsgi.url_scheme") == "https":
        return True
    # The right-most protocol is the one that the proxy itself has seen.
    said = environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip().lower()
    peer = peer_of(environ) if said == "https" else None
    return peer is not None and is_trusted_proxy(str(peer))


def key_of(address: Address | None) -> str:
    """Return under which key an address is counted."""
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _NETWORK_BITS), strict=False))
    return str(address or "unknown")
