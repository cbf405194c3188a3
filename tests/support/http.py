"""A client for tests: one call, one answer, nothing retried, nothing hidden."""

import json as json_module
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from queue import LifoQueue
from time import monotonic
from typing import Any, Final
from urllib.parse import urlencode

import urllib3

JSON = {"Content-Type": "application/json"}
_REPEATABLE = {"deadlock", "transaction-conflict", "too-many-exports", "rate-limit-exceeded"}

KEPT_SECONDS: Final = 10
"""How long a connection is used again; the service closes one that was idle for 15."""


class FreshConnections(LifoQueue[Any]):
    """What a pool keeps its connections in; one that the service is about to close comes out closed.

    Otherwise the request may cross the end of its connection, which no client can tell from a fault.
    """

    def _put(self, item: Any) -> None:
        super()._put((monotonic(), item))

    def _get(self) -> Any:
        since, connection = super()._get()
        if connection is not None and monotonic() - since > KEPT_SECONDS:
            connection.close()
        return connection


class FreshPool(urllib3.HTTPConnectionPool):
    """A pool that knows for how long its connections were idle."""

    QueueCls = FreshConnections


class FreshTlsPool(urllib3.HTTPSConnectionPool):
    """The same by TLS."""

    QueueCls = FreshConnections


@dataclass(frozen=True)
class Answer:
    """Status, headers and body of one response."""

    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json_module.loads(self.body)


class Api:
    """Sends requests to one service.

    Args:
        url: of the service.
        tls: whom to trust, and with which certificate of ours, where the service speaks TLS.
        shown: headers of every request, unless it has its own: who calls.
    """

    def __init__(
        self, url: str, tls: ssl.SSLContext | None = None, *, shown: Mapping[str, str] | None = None
    ) -> None:
        self.url = url
        self.tls = tls
        self.shown = shown or {}
        self._pool = urllib3.PoolManager(retries=False, timeout=60, maxsize=64, ssl_context=tls)
        self._pool.pool_classes_by_scheme = {"http": FreshPool, "https": FreshTlsPool}

    def another(self) -> "Api":
        """Return another client of the same service, with connections of its own."""
        return Api(self.url, self.tls, shown=self.shown)

    def get(self, path: str, params: dict[str, Any] | None = None, **headers: str) -> Answer:
        """GET with query parameters; keyword arguments are headers."""
        return self.request("GET", path, params=params, headers=headers)

    def post(self, path: str, json: Any = None, *, body: bytes | None = None, **headers: str) -> Answer:
        """POST a JSON value, or bytes as they are."""
        content = json_module.dumps(json).encode() if body is None else body
        return self.request("POST", path, body=content, headers=JSON | headers)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, Any] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send exactly this."""
        query = f"?{urlencode(params)}" if params else ""
        sent = {**self.shown, **(headers or {})}
        response = self._pool.request(method, f"{self.url}{path}{query}", body=body, headers=sent)
        return Answer(response.status, response.headers, response.data)

    def close(self) -> None:
        """Close kept connections now: ``clear`` alone leaves that to the garbage collector."""
        keys = self._pool.pools.keys()
        pools = [self._pool.pools[key] for key in keys]
        self._pool.clear()
        for pool in pools:
            pool.close()


def _is_repeatable(answer: Answer, slug: str) -> bool:
    if slug == "ledger/not-sealed":  # only where it is a matter of time
        return "Retry-After" in answer.headers
    return answer.status >= 500 or slug in _REPEATABLE


def assert_problem(answer: Answer, status: int, slug: str) -> dict[str, Any]:
    """Check everything that every problem document must have, and return its members."""
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json
    assert problem["type"] == f"https://kubernaut.ai/problems/{slug}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert problem.get("retry", False) is _is_repeatable(answer, slug)
    return problem
