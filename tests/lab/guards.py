"""Who knows the clients of a laboratory service: an API server or an issuer, to be broken as well."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.issuer import Issuer, issuer
from tests.support.review_server import Account, ReviewServer, review_server

WRITER = "writer"
STRANGER = "stranger"
CACHE_SECONDS = 1


@dataclass(frozen=True)
class Guard:
    """What vouches for the clients.

    Attributes:
        server: the API server or the issuer.
        settings: the variables of a service that trusts it.
        token: returns what a client shows.
    """

    server: Any
    settings: dict[str, str]
    token: Callable[[], str]


MakeGuard = Callable[[Path], AbstractContextManager[Guard]]


@contextmanager
def api_server(directory: Path) -> Iterator[Guard]:
    """A Kubernetes API server, whose answers count for a second."""
    with review_server(directory) as server:
        for token in (WRITER, STRANGER):
            server.accounts[token] = Account(f"system:serviceaccount:lab:{token}", frozenset({"create"}))
        yield Guard(server, server.settings | {"AUTH_CACHE_TTL": f"{CACHE_SECONDS}s"}, lambda: WRITER)


@contextmanager
def key_issuer(directory: Path) -> Iterator[Guard]:
    """An issuer of signed tokens; each request has a new one."""
    with issuer(directory) as running:
        policy = directory / "policy.yaml"
        bindings = [{"role": "writer", "groups": ["*"]}]
        policy.write_text(yaml.safe_dump({"issuers": [running.entry], "bindings": bindings}))
        yield Guard(running, {"AUTH_MODE": "jwt", "AUTH_POLICY_FILE": str(policy)}, running.token)


def server_of(guard: Guard | None) -> ReviewServer:
    """Return the API server."""
    assert guard is not None
    assert isinstance(guard.server, ReviewServer)
    return guard.server


def issuer_of(guard: Guard | None) -> Issuer:
    """Return the issuer."""
    assert guard is not None
    assert isinstance(guard.server, Issuer)
    return guard.server
