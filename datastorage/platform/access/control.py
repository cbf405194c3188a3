"""The modes of access control, asked in order: who calls, and may it do what it asks for?"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final
from wsgiref.types import WSGIEnvironment

from datastorage.platform.access.caller import Caller, Forbidden, Mode
from datastorage.platform.access.credentials import KNOWN_SECONDS, Credentials
from datastorage.platform.access.errors import AccessRefused, Unauthorized
from datastorage.platform.access.lru import Recent
from datastorage.platform.access.permissions import Permission
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics import Metrics

_RESULTS: Final = {
    "unauthorized": "unauthenticated",
    "forbidden": "forbidden",
    "auth-unavailable": "unavailable",
}
MOST_KNOWN: Final = 2000


class AccessControl:
    """Asks the modes.

    Args:
        modes: the configured ones, in order.
        metrics: counts what becomes of the requests.
        metrics_permission: what a scrape of the metrics port needs.
        is_ledger_public: whether the log of the ledger needs nothing.
    """

    def __init__(
        self,
        modes: Sequence[Mode],
        metrics: Metrics,
        *,
        metrics_permission: Permission,
        is_ledger_public: bool = False,
    ) -> None:
        self._modes = modes
        self.modes = tuple(mode.name for mode in modes)
        self._metrics = metrics
        self.metrics_permission = metrics_permission
        self.is_ledger_public = is_ledger_public
        self._known: Recent[bytes, float] = Recent(MOST_KNOWN)
        for mode in modes:
            metrics.auth_mode.labels(mode.name).set(1)

    def admit(self, environ: WSGIEnvironment, permission: Permission) -> Caller:
        """Return the caller of a request that needs ``permission``.

        Raises:
            Unauthorized: nobody vouches for the caller.
            Forbidden: the caller lacks the permission.
            AccessUnknown: this cannot be found out now.
        """
        try:
            caller = self._recognised(Credentials(environ), permission)
            if permission is not Permission.IDENTITY and not caller.may(permission):
                raise Forbidden(permission, caller)
        except AccessRefused as refusal:
            self._metrics.auth_requests.labels(refusal.mode, _RESULTS[refusal.slug]).inc()
            raise
        self._remember(environ)
        mode = caller.identity.mode
        self._metrics.auth_requests.labels(mode, "stale" if caller.is_stale else "accepted").inc()
        return caller

    def knows(self, environ: WSGIEnvironment) -> bool:
        """Tell whether a request shows a token that was accepted a short while ago."""
        if "HTTP_AUTHORIZATION" not in environ:
            return False
        accepted_at = self._known.get(_key(environ))
        return accepted_at is not None and monotonic_seconds() - accepted_at < KNOWN_SECONDS

    def _remember(self, environ: WSGIEnvironment) -> None:
        if "HTTP_AUTHORIZATION" in environ and self.modes != ("none",):
            self._known.put(_key(environ), monotonic_seconds())

    @property
    def is_backend_failing(self) -> bool:
        """Whether the newest question to an API server or an issuer got no answer."""
        return any(mode.is_backend_failing for mode in self._modes)

    def _recognised(self, credentials: Credentials, permission: Permission) -> Caller:
        for mode in self._modes:
            caller = mode.recognise(credentials, permission)
            if caller is not None:
                return caller
        raise credentials.fault or Unauthorized.bad_token("invalid_token")


def _key(environ: WSGIEnvironment) -> bytes:
    return sha256(environ["HTTP_AUTHORIZATION"].encode("latin-1")).digest()
