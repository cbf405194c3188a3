"""The limits of an installation: on failures of an address, and on the requests of a caller."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from wsgiref.types import WSGIEnvironment

from datastorage.platform.access.addresses import Address, key_of, peer_of
from datastorage.platform.access.errors import RateLimited
from datastorage.platform.access.identity import Identity, Kind
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.rates import Quota
from datastorage.platform.metrics import Metrics

if TYPE_CHECKING:
    # Its library is loaded where there is a limit.
    from datastorage.platform.access.counting import RateLimit


_CALLER: Final = "too many requests"
_ADDRESS: Final = "too many refused requests from this address"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """Counts, and refuses what is too much.

    Attributes:
        failures: on refused credentials, by address.
        reads: on reads, exports and what only admins may do, by caller.
        writes: on writes, by caller.
        write_status: what a client is told whose write is too much; 503 lets shipped clients retry.
        is_trusted_proxy: whether an address speaks for others.
        metrics: counts refusals.
    """

    failures: "RateLimit | None"
    reads: "RateLimit | None"
    writes: "RateLimit | None"
    write_status: int
    is_trusted_proxy: Callable[[str], bool]
    metrics: Metrics

    def check_failures(self, environ: WSGIEnvironment, permission: Permission) -> None:
        """Refuse an address from which too many credentials were refused.

        Raises:
            RateLimited: it has used up its budget.
        """
        if self.failures is not None:
            quota = self.failures.look(key_of(self._client_of(environ)))
            if quota.is_exceeded:
                self.metrics.rate_limited.labels("failures", permission).inc()
                raise self._refusal(quota, permission, "failure_limit", _ADDRESS)

    def count_failure(self, environ: WSGIEnvironment) -> None:
        """Count refused credentials against the address that sent them."""
        if self.failures is not None:
            self.failures.count(key_of(self._client_of(environ)))

    def count(self, environ: WSGIEnvironment, identity: Identity, permission: Permission) -> Quota | None:
        """Count a request of a caller; return where the caller stands, ``None`` without a limit.

        Raises:
            RateLimited: it is one too many.
        """
        limit = self.writes if permission is Permission.WRITE else self.reads
        if limit is None:
            return None
        is_anonymous = identity.kind is Kind.ANONYMOUS
        quota = limit.count(key_of(self._client_of(environ)) if is_anonymous else f"name:{identity.name}")
        if quota.is_exceeded:
            self.metrics.rate_limited.labels("identity", permission).inc()
            raise self._refusal(quota, permission, "rate_limit", _CALLER, mode=identity.mode)
        return quota

    def _refusal(
        self, quota: Quota, permission: Permission, reason: str, detail: str, *, mode: str = "unknown"
    ) -> RateLimited:
        status = self.write_status if permission is Permission.WRITE else None
        return RateLimited(detail, reason, quota, status=status, mode=mode)

    def _client_of(self, environ: WSGIEnvironment) -> Address | None:
        """Return the address of the client; a trusted proxy tells it, others may tell what they like."""
        peer = peer_of(environ)
        if peer is None or not self.is_trusted_proxy(str(peer)):
            return peer
        for text in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
            try:
                address = ip_address(text.strip())
            except ValueError:
                return peer
            if not self.is_trusted_proxy(str(address)):
                return address
        return peer
