"""How many requests a caller may send, and where it stands (access.md 6)."""

from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network
from typing import Final

from datastorage.platform.access.credentials import Address
from datastorage.settings import Rate

_NETWORK_BITS: Final = 64
"""Of an IPv6 address: whoever has one has the rest of its network as well."""


@dataclass(frozen=True, slots=True)
class Quota:
    """Where a caller stands: what it may still send, and when it may send everything again.

    Attributes:
        policy: ``read``, ``write`` or ``failures``.
        rate: what is enforced; in memory the share of this worker.
        remaining: requests.
        reset_seconds: whole seconds, at least 1.
        is_exceeded: whether this request is one too many.
    """

    policy: str
    rate: Rate
    remaining: int
    reset_seconds: int
    is_exceeded: bool

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The quota as the fields of draft-ietf-httpapi-ratelimit-headers say it."""
        policy = f'"{self.policy}";q={self.rate.amount};w={self.rate.seconds}'
        return [
            ("RateLimit-Policy", policy),
            ("RateLimit", f'"{self.policy}";r={self.remaining};t={self.reset_seconds}'),
        ]


def key_of(address: Address | None) -> str:
    """Return under which key an address is counted."""
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _NETWORK_BITS), strict=False))
    return str(address or "unknown")
