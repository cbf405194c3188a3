"""Mode ``kubernetes``: the API server knows who bears a token and what the account may do.

Its answers are kept for a few seconds (access.md 5). Requests that miss together wait for one review, whose
answer serves them all. ``admin`` reads nothing that is kept.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from threading import BoundedSemaphore, Lock
from typing import Any, Final

from datastorage.platform.access.account import NEVER, Account
from datastorage.platform.access.claims import claims_of, expiry_of
from datastorage.platform.access.credentials import KNOWN_SECONDS, Credentials
from datastorage.platform.access.errors import AccessUnknown, Unauthorized
from datastorage.platform.access.identity import MAX_GROUPS, Identity, Kind, is_name, kind_of
from datastorage.platform.access.lru import Recent
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.reviews import ReviewFailedError, Reviews
from datastorage.platform.clock import Clock, monotonic_seconds
from datastorage.platform.metrics import Metrics
from datastorage.settings import AuthSettings

logger = logging.getLogger(__name__)

NAME: Final = "kubernetes"
MOST_ACCEPTED: Final = 1500
MOST_REFUSED: Final = 500
"""A quarter of the 2000 tokens that a worker remembers: a flood of bad ones evicts no good one."""
REFUSED_SECONDS: Final = 2.0
EXPIRED_SECONDS: Final = 60.0
"""A token that expired longer ago is refused without a review."""
WARNED_SECONDS: Final = 60.0


class KubernetesMode:
    """Takes every bearer token that no earlier mode took.

    Args:
        settings: how long answers count.
        reviews: asks the API server.
        metrics: counts hits, misses and requests that joined one.
        clock: tells which tokens have expired.
        strangers: how many threads may ask about tokens that were not accepted of late.
    """

    name = NAME

    def __init__(
        self,
        settings: AuthSettings,
        reviews: Reviews,
        metrics: Metrics,
        clock: Clock,
        strangers: int,
    ) -> None:
        self._reviews = reviews
        self._outcomes = metrics.auth_cache
        self._clock = clock
        self._kept_seconds = settings.cache_ttl.total_seconds()
        self._refused_seconds = min(REFUSED_SECONDS, self._kept_seconds)
        self._stale_seconds = settings.stale_writes.total_seconds()
        self._audiences = frozenset(settings.kubernetes.audiences)
        self._verbs: Mapping[Permission, str] = {
            Permission.READ: "get",
            Permission.EXPORT: settings.kubernetes.export_verb,
            Permission.WRITE: "create",
            Permission.ADMIN: "update",
        }
        self._accounts: Recent[bytes, Account] = Recent(MOST_ACCEPTED)
        self._refusals: Recent[bytes, tuple[Unauthorized, float]] = Recent(MOST_REFUSED)
        self._locks: Recent[bytes, Lock] = Recent(MOST_ACCEPTED)
        self._strangers = BoundedSemaphore(strangers)
        self._warned_at = NEVER

    @property
    def is_backend_failing(self) -> bool:
        """Whether the newest review got no answer."""
        return self._reviews.are_failing

    def recognise(self, credentials: Credentials, permission: Permission) -> "KubernetesCaller | None":
        """Return the account whose token this is.

        Raises:
            Unauthorized: the API server does not know the token, or it has expired.
            AccessUnknown: the API server does not answer, and nothing that is kept counts any more.
        """
        token = credentials.token
        if token is None:
            return None
        expiry = expiry_of(claims_of(token))
        if expiry is not None and self._clock().timestamp() - expiry > EXPIRED_SECONDS:
            raise Unauthorized.bad_token("expired_token", NAME)
        key = sha256(token.encode()).digest()
        if permission is Permission.ADMIN:
            return KubernetesCaller(self, self._anew(key, token, expiry))
        account = self._accounts.get(key)
        if account is not None and monotonic_seconds() < account.expires_at:
            self._outcomes.labels("hit").inc()
            return KubernetesCaller(self, account)
        return self._asked(key, token, expiry, permission)

    def allows(self, account: Account, permission: Permission) -> tuple[bool, bool]:
        """Return whether an account may do something, and whether that rests on an old answer.

        Raises:
            AccessUnknown: see ``recognise``.
        """
        verb = self._verbs[permission]
        if permission is Permission.ADMIN:
            return self._decided(account, verb), False
        kept = account.kept(verb)
        if kept is not None:
            return kept, False
        may_be_stale = permission is Permission.WRITE and self._counts_still(account)
        with _held(account.lock, waits=not (may_be_stale and self._reviews.are_failing)) as is_held:
            if not is_held:
                return True, True
            kept = account.kept(verb)
            if kept is not None:
                return kept, False
            try:
                return self._decided(account, verb), False
            except AccessUnknown:
                if not may_be_stale:
                    raise
                return True, True

    def _decided(self, account: Account, verb: str) -> bool:
        """Ask whether an account may do something, and keep the answer."""
        try:
            allowed = self._reviews.review_access(account.identity, verb)
        except ReviewFailedError as error:
            raise AccessUnknown(NAME) from error
        now = monotonic_seconds()
        account.decisions[verb] = (allowed, now + (self._kept_seconds if allowed else self._refused_seconds))
        if verb == self._verbs[Permission.WRITE]:
            account.written_at = now if allowed else NEVER
        return allowed

    def _counts_still(self, account: Account) -> bool:
        """Tell whether an account may go on writing while the API server does not answer."""
        return monotonic_seconds() - account.written_at < self._stale_seconds

    def _asked(
        self, key: bytes, token: str, expiry: float | None, permission: Permission
    ) -> "KubernetesCaller":
        """Ask who bears a token, once for all requests that want to know at the same time."""
        account = self._accounts.get(key)
        may_be_stale = permission is Permission.WRITE and account is not None and self._counts_still(account)
        lock = self._locks.get_or_add(key, Lock)
        with _held(lock, waits=not (may_be_stale and self._reviews.are_failing)) as is_held:
            try:
                if is_held:
                    return KubernetesCaller(self, self._kept(key) or self._anew(key, token, expiry))
            except AccessUnknown:
                if not may_be_stale:
                    raise
        assert account is not None
        self._warn()
        return KubernetesCaller(self, account, is_stale=True)

    def _kept(self, key: bytes) -> Account | None:
        """Return what another request has found out in the meantime.

        Raises:
            Unauthorized: it was refused.
        """
        now = monotonic_seconds()
        account = self._accounts.get(key)
        if account is not None and now < account.expires_at:
            self._outcomes.labels("joined").inc()
            return account
        refusal, until = self._refusals.get(key) or (None, NEVER)
        if refusal is not None and now < until:
            self._outcomes.labels("joined").inc()
            raise Unauthorized.bad_token(refusal.reason, NAME)
        return None

    def _anew(self, key: bytes, token: str, expiry: float | None) -> Account:
        """Ask who bears a token, and keep the answer."""
        before = self._accounts.get(key)
        self._outcomes.labels("miss").inc()
        with self._place_for(before):
            try:
                identity = self._identity(self._reviews.review_token(token))
            except ReviewFailedError as error:
                raise AccessUnknown(NAME) from error
            except Unauthorized as refusal:
                self._accounts.discard(key)
                self._refusals.put(key, (refusal, monotonic_seconds() + self._refused_seconds))
                raise
        now = monotonic_seconds()
        left = self._kept_seconds if expiry is None else expiry - self._clock().timestamp()
        account = Account(identity, now, now + min(self._kept_seconds, max(left, 0.0)), expiry)
        if before is not None and before.identity == identity:
            account.decisions, account.written_at = before.decisions, before.written_at
        self._accounts.put(key, account)
        return account

    @contextmanager
    def _place_for(self, before: Account | None) -> Iterator[None]:
        """Let few threads wait for answers about strangers, so that callers with a known token find one."""
        if before is not None and monotonic_seconds() - before.accepted_at < KNOWN_SECONDS:
            yield
            return
        if not self._strangers.acquire(blocking=False):
            raise AccessUnknown(NAME)
        try:
            yield
        finally:
            self._strangers.release()

    def _identity(self, status: Mapping[str, Any]) -> Identity:
        """Return the account that a TokenReview names.

        Raises:
            Unauthorized: it names none, or not for us.
        """
        user = status.get("user")
        if status.get("authenticated") is not True or not isinstance(user, dict):
            raise Unauthorized.bad_token("invalid_token", NAME)
        if self._audiences and self._audiences.isdisjoint(status.get("audiences") or ()):
            raise Unauthorized.bad_token("invalid_token_audience", NAME)
        name, groups = user.get("username"), tuple(user.get("groups") or ())
        if not is_name(name) or not all(map(is_name, groups)) or len(groups) > MAX_GROUPS:
            raise Unauthorized.bad_token("invalid_token", NAME)
        return Identity(
            name=name,
            kind=kind_of(name, Kind.PERSON),
            mode=NAME,
            groups=groups,
            uid=str(user.get("uid") or ""),
            extra=user.get("extra") or {},
        )

    def _warn(self) -> None:
        now = monotonic_seconds()
        if now - self._warned_at >= WARNED_SECONDS:
            self._warned_at = now
            logger.warning("Writes accepted on an old review")


@contextmanager
def _held(lock: Lock, *, waits: bool) -> Iterator[bool]:
    """Hold a lock, or tell that another request has it and does not get its answer soon."""
    if not lock.acquire(blocking=waits):
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


class KubernetesCaller:
    """An account; what it may do is asked when somebody wants to know."""

    __slots__ = ("_account", "_mode", "is_stale")

    def __init__(self, mode: KubernetesMode, account: Account, *, is_stale: bool = False) -> None:
        self._mode = mode
        self._account = account
        self.is_stale = is_stale

    @property
    def identity(self) -> Identity:
        """The account."""
        return self._account.identity

    @property
    def expires_at(self) -> float | None:
        """When the token ends."""
        return self._account.token_expires_at

    def may(self, permission: Permission) -> bool:
        """Tell whether the account has ``permission``.

        Raises:
            AccessUnknown: the API server does not answer, and nothing that is kept counts any more.
        """
        allowed, is_stale = self._mode.allows(self._account, permission)
        self.is_stale = self.is_stale or is_stale
        return allowed
