"""Reviews by a Kubernetes API server: who bears a token, and whether an account may do something.

TokenReview and SubjectAccessReview, asked with the service's own token. Whatever is not a clear answer is
``ReviewFailedError``: the caller decides what counts then.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any, Final, NamedTuple

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError

from datastorage.platform.access.identity import Identity
from datastorage.platform.clock import monotonic_seconds
from datastorage.platform.metrics import Metrics
from datastorage.platform.web import json
from datastorage.settings import KubernetesAuthSettings

logger = logging.getLogger(__name__)

AT_ONCE: Final = 4
"""Reviews of a worker that may run at a time."""
OWN_TOKEN_SECONDS: Final = 60.0
"""How long the service's own token is used before it is read again; the kubelet renews it in place."""
PAUSE_SECONDS: Final = 1.0
"""After a failure no review starts for so long, so that callers need not wait for one after the other."""
COMPLAINT_SECONDS: Final = 60.0
MAX_ANSWER_BYTES: Final = 1024 * 1024
SERVICE: Final = "data-storage-service"
"""The object that roles name; it need not exist."""

_CREATED: Final = frozenset({200, 201})
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403


class _Kind(NamedTuple):
    """A kind of review, as the API server knows it."""

    group: str
    name: str
    resource: str

    @property
    def path(self) -> str:
        return f"/apis/{self.group}/v1/{self.resource}"


_TOKEN: Final = _Kind("authentication.k8s.io", "TokenReview", "tokenreviews")
_ACCESS: Final = _Kind("authorization.k8s.io", "SubjectAccessReview", "subjectaccessreviews")


class ReviewFailedError(Exception):
    """The API server gave no answer that counts."""


class OwnToken:
    """The token of the service's own account."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = ""
        self._read_at = -OWN_TOKEN_SECONDS

    def text(self) -> str:
        """Return the token.

        Raises:
            ReviewFailedError: the file cannot be read.
        """
        if monotonic_seconds() - self._read_at >= OWN_TOKEN_SECONDS:
            try:
                self._text = self._path.read_text(encoding="ascii").strip()
            except (OSError, ValueError) as error:
                raise ReviewFailedError(f"{self._path} cannot be read") from error
            self._read_at = monotonic_seconds()
        return self._text

    def expire(self) -> None:
        """Read the file again for the next review."""
        self._read_at = -OWN_TOKEN_SECONDS


class Reviews:
    """Asks the API server.

    Args:
        settings: where it is and how patiently it is asked.
        metrics: counts the reviews and measures them.
    """

    def __init__(self, settings: KubernetesAuthSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._seconds = settings.review_timeout.total_seconds()
        self._http = urllib3.PoolManager(
            num_pools=1,
            maxsize=AT_ONCE,
            ca_certs=str(settings.ca_file),
            cert_reqs="CERT_REQUIRED",
        )
        self._own_token = OwnToken(settings.token_file)
        self._places = BoundedSemaphore(AT_ONCE)
        self._lock = Lock()
        self._failed_at = -PAUSE_SECONDS
        self._is_failing = False
        self._complained_at = -COMPLAINT_SECONDS

    @property
    def are_failing(self) -> bool:
        """Whether the newest review got no answer that counts."""
        return self._is_failing

    def close(self) -> None:
        """Close the connections."""
        self._http.clear()

    def review_token(self, token: str) -> Mapping[str, Any]:
        """Return the status of a TokenReview.

        Raises:
            ReviewFailedError: there is no answer that counts.
        """
        audiences = {"audiences": list(self._settings.audiences)} if self._settings.audiences else {}
        return self._review("token", _TOKEN, {"token": token, **audiences})

    def review_access(self, identity: Identity, verb: str) -> bool:
        """Tell whether an account may do ``verb`` to this service.

        Raises:
            ReviewFailedError: there is no answer that counts.
        """
        attributes = {
            "namespace": self._settings.own_namespace,
            "verb": verb,
            "group": "",
            "resource": "services",
            "name": SERVICE,
        }
        spec = {
            "user": identity.name,
            "uid": identity.uid,
            "groups": list(identity.groups),
            "extra": {name: list(values) for name, values in identity.extra.items()},
            "resourceAttributes": attributes,
        }
        status = self._review("access", _ACCESS, spec)
        return status.get("allowed") is True and status.get("denied") is not True

    def _review(self, kind: str, asks: _Kind, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        if monotonic_seconds() - self._failed_at < PAUSE_SECONDS:
            raise ReviewFailedError("a review failed a moment ago")
        document = {"apiVersion": f"{asks.group}/v1", "kind": asks.name, "spec": spec}
        started = monotonic_seconds()
        try:
            status = self._status(asks.path, json.encode(document), started + self._seconds)
        except ReviewFailedError:
            self._failed_at, self._is_failing = monotonic_seconds(), True
            self._metrics.auth_reviews.labels(kind, "error").inc()
            self._metrics.auth_backend_up.labels("kubernetes").set(0)
            raise
        self._metrics.auth_review_duration_seconds.labels(kind).observe(monotonic_seconds() - started)
        self._is_failing = False
        is_good = status.get("authenticated" if kind == "token" else "allowed") is True
        self._metrics.auth_reviews.labels(kind, "ok" if is_good else "refused").inc()
        self._metrics.auth_backend_up.labels("kubernetes").set(1)
        return status

    def _status(self, path: str, body: bytes, deadline: float) -> Mapping[str, Any]:
        if not self._places.acquire(timeout=max(deadline - monotonic_seconds(), 0)):
            raise ReviewFailedError("other reviews do not end")
        try:
            answer = self._posted(path, body, deadline)
            if answer.status == _UNAUTHORIZED:
                self._own_token.expire()
                answer = self._posted(path, body, deadline)
        finally:
            self._places.release()
        if answer.status in {_UNAUTHORIZED, _FORBIDDEN}:
            self._complain(answer.status)
        if answer.status not in _CREATED:
            raise ReviewFailedError(f"the API server answers {answer.status}")
        try:
            status = json.decode(answer.data, "review")["status"]
        except (ValueError, LookupError, TypeError) as error:
            raise ReviewFailedError("the answer is no review") from error
        if not isinstance(status, dict):
            raise ReviewFailedError("the answer is no review")
        return status

    def _posted(self, path: str, body: bytes, deadline: float) -> urllib3.BaseHTTPResponse:
        """Send a review; a connection that is refused or reset is tried once more."""
        try:
            return self._post(path, body, deadline)
        except (NewConnectionError, ProtocolError):
            pass
        except HTTPError as error:
            raise ReviewFailedError(str(error)) from error
        try:
            return self._post(path, body, deadline)
        except HTTPError as error:
            raise ReviewFailedError(str(error)) from error

    def _post(self, path: str, body: bytes, deadline: float) -> urllib3.BaseHTTPResponse:
        left = deadline - monotonic_seconds()
        if left <= 0:
            raise ReviewFailedError("the API server does not answer in time")
        headers = {"Authorization": f"Bearer {self._own_token.text()}", "Content-Type": "application/json"}
        return self._http.request(
            "POST",
            self._settings.api_url.rstrip("/") + path,
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(total=left),
            retries=False,
            redirect=False,
        )

    def _complain(self, status: int) -> None:
        with self._lock:
            now = monotonic_seconds()
            if now - self._complained_at < COMPLAINT_SECONDS:
                return
            self._complained_at = now
        logger.error("Access review refused by the API server", extra={"status": status})
