"""What counts while the API server does not answer: writes go on for a while, nothing else does."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.access.conftest import VERBS, Caller
from tests.support.builders import EVENTS, an_event
from tests.support.http import Answer, assert_problem
from tests.support.review_server import Account, ReviewServer, review_server
from tests.support.started import StartService
from tests.support.waiting import eventually

WHOAMI = "/api/v1/whoami"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewServer]:
    """An API server of our own, because the others need theirs."""
    with review_server(tmp_path_factory.mktemp("away")) as server:
        for name, verbs in VERBS.items():
            server.accounts[name] = Account(f"system:serviceaccount:ns:{name.lower()}", verbs)
        yield server


@pytest.fixture(scope="module")
def patient(alone: ReviewServer, start_service: StartService) -> Caller:
    """A client of a service that keeps answers for a second, and old writes for an hour."""
    times = {"AUTH_CACHE_TTL": "1s", "AUTH_STALE_WRITES": "1h", "AUTH_KUBERNETES_REVIEW_TIMEOUT": "500ms"}
    return Caller(start_service(**alone.settings, **times, SERVER_WORKERS="1").api)


@pytest.fixture(scope="module")
def strict(alone: ReviewServer, start_service: StartService) -> Caller:
    """A client of a service that keeps no old writes."""
    times = {"AUTH_CACHE_TTL": "1s", "AUTH_STALE_WRITES": "0s", "AUTH_KUBERNETES_REVIEW_TIMEOUT": "500ms"}
    return Caller(start_service(**alone.settings, **times, SERVER_WORKERS="1").api)


@pytest.fixture
def away(alone: ReviewServer) -> Iterator[ReviewServer]:
    """The API server, to be stopped or frozen; brought back afterwards."""
    yield alone
    alone.may_answer.set()
    alone.stop()
    alone.start()


def unavailable(answer: Answer) -> bool:
    return answer.status == 503 and answer.json["type"].endswith("auth-unavailable")


def test_only_writes_go_on_while_the_api_server_is_down(patient: Caller, away: ReviewServer) -> None:
    assert patient.post(EVENTS, an_event(), "W").status == 201
    assert patient.get(EVENTS, "R").status == 200
    away.stop()

    eventually(lambda: unavailable(patient.get(EVENTS, "R")))
    for _ in range(20):
        assert patient.post(EVENTS, an_event(), "W").status == 201
    problem = assert_problem(patient.get(EVENTS, "new"), 503, "auth-unavailable")
    assert problem["detail"] == "access cannot be checked now - please retry"
    assert patient.get(EVENTS, "R").headers["Retry-After"] == "2"
    assert unavailable(patient.patch("/api/v1/workflows/x/disable", b"{}", "W"))
    assert patient.get("/health").json["auth_backend"] == "unreachable"
    assert patient.get("/health/ready").status == 200

    away.start()
    eventually(lambda: patient.get(EVENTS, "R").status == 200)
    assert "auth_backend" not in patient.get("/health").json


def test_writes_end_with_the_cache_where_nothing_old_counts(strict: Caller, away: ReviewServer) -> None:
    assert strict.post(EVENTS, an_event(), "W").status == 201
    away.stop()

    eventually(lambda: unavailable(strict.post(EVENTS, an_event(), "W")))


def test_api_server_that_hangs_makes_few_requests_wait(strict: Caller, away: ReviewServer) -> None:
    away.may_answer.clear()
    away.forget()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda place: strict.get(EVENTS, f"stranger-{place}"), range(50)))

    assert all(unavailable(answer) for answer in answers)
    # Four may ask at once; after the first failure nobody asks for a second.
    assert away.counts.total() <= 12


def test_token_taken_away_ends_reads_and_writes_when_the_cache_does(
    patient: Caller, away: ReviewServer
) -> None:
    away.accounts["gone"] = Account("system:serviceaccount:ns:gone", VERBS["M"])
    assert patient.post(EVENTS, an_event(), "gone").status == 201
    del away.accounts["gone"]

    assert_problem(patient.patch("/api/v1/workflows/x/disable", b"{}", "gone"), 401, "unauthorized")
    assert_problem(patient.post(EVENTS, an_event(), "gone"), 401, "unauthorized")
    away.stop()
    assert patient.post(EVENTS, an_event(), "gone").status in {401, 503}


def test_account_that_is_deleted_neither_reads_nor_writes_when_the_cache_ends(
    patient: Caller, away: ReviewServer
) -> None:
    for name in ("deleted", "quiet"):
        away.accounts[name] = Account(f"system:serviceaccount:ns:{name}", VERBS["M"])
        assert patient.post(EVENTS, an_event(), name).status == 201
        assert patient.get(EVENTS, name).status == 200
    del away.accounts["deleted"], away.accounts["quiet"]

    assert_problem(patient.patch("/api/v1/workflows/x/disable", b"{}", "deleted"), 401, "unauthorized")
    eventually(lambda: patient.get(EVENTS, "quiet").status == 401)
    assert patient.post(EVENTS, an_event(), "quiet").status == 401


def test_permission_taken_away_counts_when_the_cache_ends(patient: Caller, away: ReviewServer) -> None:
    away.accounts["less"] = Account("system:serviceaccount:ns:less", VERBS["A"])
    assert patient.get(EVENTS, "less").status == 200
    away.accounts["less"] = Account("system:serviceaccount:ns:less", VERBS["N"])

    eventually(lambda: patient.get(EVENTS, "less").status == 403)
    assert patient.get(WHOAMI, "less").json["permissions"] == []
