"""The public keys of issuers: fetched in the background, and again when a token names an unknown one."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from threading import BoundedSemaphore, Lock
from typing import Any, Final

import urllib3
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import PyJWK, PyJWTError
from urllib3.exceptions import HTTPError

from datastorage.platform.access.policy import Issuer, PolicyFile
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics import Metrics
from datastorage.platform.web import json

logger = logging.getLogger(__name__)

FETCH_INTERVAL: Final = timedelta(minutes=10)
FETCH_SECONDS: Final = 5.0
AGAIN_SECONDS: Final = 30.0
"""How often an unknown key may make us fetch: a token names any key it likes."""
KEPT_SECONDS: Final = 24 * 3600.0
"""How long keys count that cannot be fetched again."""
MAX_KEYS_BYTES: Final = 1024 * 1024
LEAST_RSA_BITS: Final = 2048
_OK: Final = 200

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384"}


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, and the algorithms with which it may have signed."""

    public: Any
    algorithms: Sequence[str]


@dataclass(frozen=True, slots=True)
class _KeySet:
    by_id: Mapping[str, Key]
    fetched_at: float


class KeysUnknownError(Exception):
    """The keys of an issuer cannot be fetched, and there are no older ones that count."""


class IssuerKeys:
    """The keys of every issuer of the policy.

    Args:
        policy: names the issuers, and where their keys are.
        metrics: counts the fetches.
        strangers: how many threads may wait for keys that nobody knows yet.
    """

    def __init__(self, policy: PolicyFile, metrics: Metrics, strangers: int) -> None:
        self._policy = policy
        self._metrics = metrics
        self._sets: dict[str, _KeySet] = {}
        self._tried_at: dict[str, float] = {}
        self._locks: dict[str, Lock] = {}
        self._strangers = BoundedSemaphore(strangers)
        self.are_failing = False

    def fetch_all(self) -> None:
        """Fetch the keys of every issuer; what cannot be fetched stays as it was."""
        for issuer in self._policy.value.issuers.values():
            self._fetch(issuer)

    def find(self, issuer: Issuer, key_id: str | None) -> Key | None:
        """Return a key of an issuer, the only one it has for a token that names none.

        Raises:
            KeysUnknownError: they cannot be fetched, or too many requests wait for them.
        """
        found = self._known(issuer, key_id) or self._newly_known(issuer, key_id)
        if found is None and not self._is_usable(issuer):
            raise KeysUnknownError(issuer.issuer)
        return found

    def _newly_known(self, issuer: Issuer, key_id: str | None) -> Key | None:
        """Return a key that may have come with a rotation; while keys are fetched, all wait for these."""
        with self._place(issuer), self._locks.setdefault(issuer.issuer, Lock()):
            found = self._known(issuer, key_id)
            if found is None and self._may_fetch(issuer):
                self._fetch(issuer)
                found = self._known(issuer, key_id)
            return found

    @contextmanager
    def _place(self, issuer: Issuer) -> Iterator[None]:
        """Let few threads wait, so that callers with a known token find one."""
        if not self._strangers.acquire(blocking=False):
            raise KeysUnknownError(issuer.issuer)
        try:
            yield
        finally:
            self._strangers.release()

    def _known(self, issuer: Issuer, key_id: str | None) -> Key | None:
        if not self._is_usable(issuer):
            return None
        keys = self._sets[issuer.issuer].by_id
        if key_id is None and len(keys) == 1:
            return next(iter(keys.values()))
        return keys.get(key_id or "")

    def _is_usable(self, issuer: Issuer) -> bool:
        found = self._sets.get(issuer.issuer)
        return found is not None and monotonic_seconds() - found.fetched_at < KEPT_SECONDS

    def _may_fetch(self, issuer: Issuer) -> bool:
        now = monotonic_seconds()
        if now - self._tried_at.get(issuer.issuer, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return False
        self._tried_at[issuer.issuer] = now
        return True

    def _fetch(self, issuer: Issuer) -> None:
        try:
            keys = dict(_keys_in(_downloaded(issuer)))
        except (HTTPError, ValueError, TypeError, LookupError) as error:
            extra = {"issuer": issuer.issuer, "error": str(error)}
            logger.warning("Keys of an issuer cannot be fetched", extra=extra)
            self._metrics.auth_reviews.labels("keys", "error").inc()
            self._metrics.auth_backend_up.labels("keys").set(0)
            self.are_failing = True
            return
        self._sets[issuer.issuer] = _KeySet(keys, monotonic_seconds())
        self._metrics.auth_reviews.labels("keys", "ok").inc()
        self._metrics.auth_backend_up.labels("keys").set(1)
        self.are_failing = False


def _downloaded(issuer: Issuer) -> Any:
    """Return the key set of an issuer."""
    with urllib3.PoolManager(ca_certs=issuer.ca_file, cert_reqs="CERT_REQUIRED") as http:
        answer = http.request(
            "GET",
            issuer.jwks_url,
            timeout=urllib3.Timeout(total=FETCH_SECONDS),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        body = answer.read(MAX_KEYS_BYTES + 1)
    if answer.status != _OK or len(body) > MAX_KEYS_BYTES:
        raise ValueError(f"the server answers {answer.status} with {len(body)} bytes")
    return json.decode(body, "keys")


def _keys_in(document: Any) -> Iterator[tuple[str, Key]]:
    """Yield the keys that may sign, by id; others are for other purposes."""
    for entry in document["keys"]:
        if entry.get("use", "sig") != "sig":
            continue
        try:
            public = PyJWK(entry).key
        except PyJWTError:
            continue
        algorithms = _algorithms_of(public)
        declared = entry.get("alg")
        if declared is not None:
            algorithms = tuple(name for name in algorithms if name == declared)
        if algorithms:
            yield str(entry.get("kid", "")), Key(public, algorithms)


def _algorithms_of(public: Any) -> tuple[str, ...]:
    """Return the algorithms that a key may be used with: never one that the token chooses freely."""
    if isinstance(public, rsa.RSAPublicKey):
        return _RSA if public.key_size >= LEAST_RSA_BITS else ()
    if isinstance(public, ec.EllipticCurvePublicKey):
        name = _CURVES.get(public.curve.name)
        return (name,) if name else ()
    return ("EdDSA",) if isinstance(public, ed25519.Ed25519PublicKey) else ()
