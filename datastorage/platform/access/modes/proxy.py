"""Mode ``proxy``: a proxy that we trust has authenticated the caller, and names it in a header."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from datastorage.platform.access.addresses import Address
from datastorage.platform.access.caller import Granted
from datastorage.platform.access.credentials import Credentials
from datastorage.platform.access.errors import Unauthorized
from datastorage.platform.access.identity import MAX_GROUPS, Identity, Kind, is_name, kind_of
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.policy import PolicyFile

NAME: Final = "proxy"


class ProxyMode:
    """Takes requests from trusted proxies that name a user.

    Args:
        proxies: the networks of the proxies.
        policy: gives users and groups their permissions.
    """

    name = NAME
    is_backend_failing = False

    def __init__(self, proxies: Sequence[IPv4Network | IPv6Network], policy: PolicyFile) -> None:
        self._proxies = proxies
        self._policy = policy

    def recognise(self, credentials: Credentials, permission: Permission) -> Granted | None:
        """Return the user that the proxy names, with what the bindings allow.

        Raises:
            Unauthorized: the name cannot be one, or there are two, which the server joins with a comma.
        """
        if not credentials.user or not self._trusts(credentials.peer):
            return None
        if permission is Permission.ADMIN:
            self._policy.look()
        user = _decoded(credentials.user).strip()
        groups = tuple(filter(None, (each.strip() for each in _decoded(credentials.groups).split(","))))
        if "," in user or not all(map(is_name, (user, *groups))) or len(groups) > MAX_GROUPS:
            raise Unauthorized("the identity header was not accepted", "invalid_identity_header", mode=NAME)
        identity = Identity(name=user, kind=kind_of(user, Kind.PERSON), mode=NAME, groups=groups)
        return Granted(identity, self._policy.value.permissions_of(identity))

    def _trusts(self, peer: Address | None) -> bool:
        return peer is not None and any(peer in each for each in self._proxies)


def _decoded(latin: str) -> str:
    """Return the text of a header; WSGI hands its bytes over as Latin-1."""
    return latin if latin.isascii() else latin.encode("latin-1").decode("utf-8", "replace")
