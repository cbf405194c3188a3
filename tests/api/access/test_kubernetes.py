"""Mode ``kubernetes`` against an API server that answers from a table (access.md 21)."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest

from tests.api.access.conftest import Caller
from tests.support.builders import EVENTS, an_event
from tests.support.http import Answer, assert_problem
from tests.support.review_server import ACCESS_REVIEWS, TOKEN_REVIEWS, ReviewServer
from tests.support.service import ServiceProcess
from tests.support.waiting import eventually

CHALLENGE = 'Bearer realm="datastorage"'
NDJSON = "application/x-ndjson"
UNKNOWN_WORKFLOW = "/api/v1/workflows/00000000-0000-4000-8000-000000000001/disable"
SEARCH = "/api/v1/workflows/search"


def refused(answer: Answer) -> dict[str, object]:
    return assert_problem(answer, 401, "unauthorized")


def forbidden(answer: Answer, permission: str) -> None:
    problem = assert_problem(answer, 403, "forbidden")
    assert problem["permission"] == permission
    assert problem["detail"] == f"permission {permission} is missing"


def test_request_without_token_is_refused_without_a_review(caller: Caller, reviews: ReviewServer) -> None:
    answer = caller.get(EVENTS)

    assert refused(answer)["detail"] == "a bearer token is required"
    assert answer.headers["WWW-Authenticate"] == CHALLENGE
    assert not reviews.counts


@pytest.mark.parametrize("header", ["Basic x", "Bearer", "Bearer  ", "Bearer a b", "Bearer a,Bearer b", "x"])
def test_header_that_is_no_bearer_token_is_refused(
    caller: Caller, reviews: ReviewServer, header: str
) -> None:
    problem = refused(caller.get(EVENTS, Authorization=header))

    assert problem["detail"] == "the Authorization header must be: Bearer <token>"
    assert not reviews.counts


def test_unknown_token_is_reviewed_once_however_often_it_is_sent(
    caller: Caller, reviews: ReviewServer
) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: caller.get(EVENTS, "B"), range(50)))

    assert {answer.status for answer in answers} == {401}
    assert refused(answers[0])["detail"] == "the bearer token was not accepted"
    assert answers[0].headers["WWW-Authenticate"] == f'{CHALLENGE}, error="invalid_token"'
    assert reviews.counts == {TOKEN_REVIEWS: 1}


def test_each_permission_opens_its_own_doors_and_no_others(caller: Caller) -> None:
    assert caller.post(EVENTS, an_event(), "W").status == 201
    forbidden(caller.get(EVENTS, "W"), "read")
    assert caller.get(EVENTS, "R").status == 200
    forbidden(caller.post(EVENTS, an_event(), "R"), "write")
    forbidden(caller.get(EVENTS, "R", Accept=NDJSON), "export")
    forbidden(caller.get(f"{EVENTS}?format=ndjson", "R"), "export")
    assert caller.get(EVENTS, "A", Accept=NDJSON).status == 200
    assert caller.patch(UNKNOWN_WORKFLOW, b'{"disabled_by":"x","reason":"y"}', "U").status == 404
    forbidden(caller.patch(UNKNOWN_WORKFLOW, b"{}", "W"), "admin")
    forbidden(caller.post(EVENTS, an_event(), "U"), "write")
    forbidden(caller.post(SEARCH, {}, "W"), "read")
    assert caller.post(SEARCH, {}, "R").status == 400


def test_expired_token_is_refused_without_a_review(caller: Caller, reviews: ReviewServer) -> None:
    refused(caller.get(EVENTS, _unsigned(exp=time.time() - 120)))

    assert not reviews.counts


def test_token_that_expired_a_moment_ago_is_for_the_api_server_to_judge(
    caller: Caller, reviews: ReviewServer
) -> None:
    refused(caller.get(EVENTS, _unsigned(exp=time.time() - 30)))

    assert reviews.counts == {TOKEN_REVIEWS: 1}


def test_whoami_tells_the_account_and_what_it_may_do(caller: Caller, reviews: ReviewServer) -> None:
    headers = {"X-Auth-Request-User": "root", "Impersonate-User": "root", "X-Forwarded-User": "root"}
    answer = caller.get("/api/v1/whoami", "W", **headers)

    assert answer.json == {
        "name": "system:serviceaccount:kubernaut-system:w",
        "kind": "service",
        "mode": "kubernetes",
        "groups": ["system:authenticated"],
        "permissions": ["write"],
    }
    spec = next(spec for spec in reviews.specs if "resourceAttributes" in spec)
    assert spec["uid"] == "uid-system:serviceaccount:kubernaut-system:w"
    assert spec["extra"] == {"authentication.kubernetes.io/pod-name": ["pod-1"]}
    assert caller.get("/api/v1/whoami", "N").json["permissions"] == []


def test_writes_that_arrive_together_with_a_fresh_token_cause_two_reviews(
    caller: Caller, reviews: ReviewServer
) -> None:
    reviews.accounts["fresh"] = reviews.accounts["W"]

    with ThreadPoolExecutor(40) as pool:
        statuses = set(pool.map(lambda _: caller.post(EVENTS, an_event(), "fresh").status, range(200)))

    assert statuses == {201}
    assert reviews.counts == {TOKEN_REVIEWS: 1, ACCESS_REVIEWS: 1}


def test_admin_is_reviewed_anew_each_time(caller: Caller, reviews: ReviewServer) -> None:
    assert caller.patch(UNKNOWN_WORKFLOW, b'{"disabled_by":"x","reason":"y"}', "U").status == 404
    del reviews.accounts["U"]

    refused(caller.patch(UNKNOWN_WORKFLOW, b'{"disabled_by":"x","reason":"y"}', "U"))


def test_refusal_for_admin_ends_what_was_kept_for_other_requests(
    caller: Caller, reviews: ReviewServer
) -> None:
    assert caller.post(EVENTS, an_event(), "M").status == 201
    del reviews.accounts["M"]
    refused(caller.patch(UNKNOWN_WORKFLOW, b"{}", "M"))

    refused(caller.post(EVENTS, an_event(), "M"))


def test_own_token_that_was_replaced_is_read_again_at_once(caller: Caller, reviews: ReviewServer) -> None:
    reviews.accounts["after"] = reviews.accounts["W"]
    reviews.own_token = "renewed"
    reviews.token_file.write_text("renewed")

    assert caller.post(EVENTS, an_event(), "after").status == 201


def test_caller_without_a_token_learns_nothing_about_paths(caller: Caller) -> None:
    refused(caller.get("/api/v1/nothing"))
    refused(caller.api.request("DELETE", EVENTS))
    assert caller.api.request("OPTIONS", EVENTS).status == 200
    assert_problem(caller.get("/api/v1/nothing", "N"), 404, "not-found")
    bearer = {"Authorization": "Bearer N"}
    assert_problem(caller.api.request("DELETE", EVENTS, headers=bearer), 405, "method-not-allowed")
    assert_problem(caller.api.request("POST", "/health"), 405, "method-not-allowed")


def test_what_needs_nothing_is_open(caller: Caller, guarded: ServiceProcess) -> None:
    for path in (
        "/health",
        "/health/live",
        "/health/ready",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/docs/",
    ):
        assert caller.get(path).status == 200, path
    refused(caller.get("/metrics"))
    assert caller.get("/metrics", "R").status == 200
    assert guarded.metrics_api.get("/metrics").status == 200
    assert caller.get("/health").json["auth"] == "kubernetes"
    for path in ("/health/ready", "/healthz", "/readyz"):
        assert guarded.metrics_api.get(path).status == 200, path
    assert_problem(guarded.metrics_api.get("/api/v1/whoami"), 404, "not-found")


def test_refusals_are_counted_and_logged_without_the_token(caller: Caller, guarded: ServiceProcess) -> None:
    secret = "never-to-be-seen-0815"
    request_id = refused(caller.get(EVENTS, secret))["request_id"]

    exposition = guarded.metrics_api.get("/metrics").body.decode()
    assert 'datastorage_auth_refusals_total{reason="invalid_token"}' in exposition
    assert 'datastorage_auth_requests_total{mode="kubernetes",result="unauthenticated"}' in exposition
    assert secret not in guarded.log
    eventually(lambda: str(request_id) in guarded.log)
    lines = [line for line in guarded.log_lines if line.get("request_id") == request_id]
    assert {line["msg"] for line in lines} in ({"HTTP request"}, {"Request refused", "HTTP request"})


def test_refusals_of_a_token_are_found_by_digits_of_its_hash(caller: Caller, guarded: ServiceProcess) -> None:
    token = "never-to-be-seen-0816"
    digits = sha256(token.encode()).hexdigest()[:12]

    def is_noted() -> bool:
        # Of many refusals in one second some are not logged.
        refused(caller.get(EVENTS, token))
        return any(line.get("token_id") == digits for line in guarded.log_lines)

    eventually(is_noted)


def _unsigned(**claims: float) -> str:
    parts = [{"alg": "RS256"}, {"iss": "kubernetes/serviceaccount", **claims}]
    return ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts), "x"]
    )
