from collections.abc import Iterator

import pytest

from tests.support.http import Answer, Api
from tests.support.review_server import Account, ReviewServer, review_server
from tests.support.servers import TestDatabase
from tests.support.service import ServiceProcess
from tests.support.started import StartService, started_services

VERBS = {
    "W": frozenset({"create"}),
    "R": frozenset({"get"}),
    "A": frozenset({"get", "list"}),
    "U": frozenset({"update"}),
    "M": frozenset({"get", "list", "create", "update"}),
    "N": frozenset[str](),
}
"""What the tokens of the acceptance table may do; B is a token that the API server does not know."""


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewServer]:
    """An API server that knows the tokens of the acceptance table."""
    with review_server(tmp_path_factory.mktemp("reviews")) as server:
        yield server


@pytest.fixture(scope="module")
def start_service(
    database: TestDatabase, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartService]:
    """Start services that stop with their module: all of them at once would take every connection."""
    with started_services(database, redis_url, tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="module")
def guarded(reviews: ReviewServer, start_service: StartService) -> ServiceProcess:
    """A service with one worker, in mode ``kubernetes``; these tests refuse more than an address may try."""
    return start_service(**reviews.settings, RATE_LIMIT_FAILURES="off", SERVER_WORKERS="1")


@pytest.fixture
def caller(guarded: ServiceProcess, reviews: ReviewServer) -> "Caller":
    """Sends requests with the tokens of the table, which is as it was at the beginning."""
    for name, verbs in VERBS.items():
        account = f"system:serviceaccount:kubernaut-system:{name.lower()}"
        reviews.accounts[name] = Account(account, verbs)
    reviews.forget()
    return Caller(guarded.api)


class Caller:
    """A client that shows a token."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def get(self, path: str, token: str | None = None, **headers: str) -> Answer:
        """GET."""
        return self.api.request("GET", path, headers=headers | bearer(token))

    def post(self, path: str, json: object, token: str | None = None, **headers: str) -> Answer:
        """POST."""
        return self.api.post(path, json, body=None, **(headers | bearer(token)))

    def patch(self, path: str, body: bytes, token: str | None = None) -> Answer:
        """PATCH."""
        headers = {"Content-Type": "application/json"} | bearer(token)
        return self.api.request("PATCH", path, body=body, headers=headers)


def bearer(token: str | None) -> dict[str, str]:
    """Return the header that shows a token."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}
