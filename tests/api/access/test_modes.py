"""The modes beside ``kubernetes``: none, proxy, static, jwt, and lists of them (access.md 21)."""

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from datastorage.platform.access.tokens import hash_of, new_token
from tests.api.access.conftest import Caller
from tests.support.builders import EVENTS, an_event
from tests.support.exposition import Scrape
from tests.support.http import Answer, assert_problem
from tests.support.issuer import AUDIENCE, Issuer, issuer, keyed_with_the_public_key
from tests.support.review_server import TOKEN_REVIEWS, Account, ReviewServer
from tests.support.started import StartService
from tests.support.tls import Authority
from tests.support.waiting import eventually

WHOAMI = "/api/v1/whoami"
DISABLE = "/api/v1/workflows/00000000-0000-4000-8000-000000000001/disable"
DISABLING = b'{"disabled_by":"x","reason":"y"}'
BINDINGS = [
    {"role": "reader", "groups": ["night"]},
    {"role": "night-shift", "users": ["ana@example.org"]},
    {"role": "auditor", "groups": ["oidc:compliance"]},
]
ROLES = {"night-shift": ["read", "admin"]}


def unauthorized(answer: Answer) -> str:
    detail: str = assert_problem(answer, 401, "unauthorized")["detail"]
    return detail


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy without issuers."""
    path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    path.write_text(yaml.safe_dump({"roles": ROLES, "bindings": BINDINGS}))
    return path


# none


def test_installation_that_sets_nothing_lets_everybody_in(start_service: StartService) -> None:
    service = start_service()
    caller = Caller(service.api)

    assert caller.post(EVENTS, an_event()).status == 201
    assert caller.post(EVENTS, an_event(), "whatever").status == 201
    assert caller.get(EVENTS, Authorization="Basic x").status == 200
    assert caller.get("/metrics").status == 200
    assert caller.get(WHOAMI).json == {
        "name": "anonymous",
        "kind": "anonymous",
        "mode": "none",
        "groups": [],
        "permissions": ["read", "export", "write", "admin"],
    }
    assert [line["msg"] for line in service.log_lines].count("Access control is off") == 1
    assert caller.get("/health").json["auth"] == "none"


def test_none_behind_another_mode_takes_callers_without_credentials_to_read_and_write(
    start_service: StartService, reviews: ReviewServer
) -> None:
    settings = reviews.settings | {"AUTH_MODE": "kubernetes,none", "AUTH_ANONYMOUS_NAME": "old-client"}
    caller = Caller(start_service(**settings, SERVER_WORKERS="1").api)

    assert caller.post(EVENTS, an_event()).status == 201
    assert_problem(caller.patch(DISABLE, b"{}"), 403, "forbidden")
    unauthorized(caller.post(EVENTS, an_event(), "B"))
    unauthorized(caller.get(EVENTS, Authorization="Basic x"))
    assert caller.get(WHOAMI).json["name"] == "old-client"
    assert caller.get("/health").json["auth"] == "kubernetes,none"


def test_token_for_another_audience_is_refused(start_service: StartService, reviews: ReviewServer) -> None:
    for audience in ("datastorage", "elsewhere"):
        account = f"system:serviceaccount:kubernaut-system:{audience}"
        reviews.accounts[audience] = Account(account, frozenset({"get"}), audiences=(audience,))
    settings = reviews.settings | {"AUTH_KUBERNETES_AUDIENCES": "datastorage", "SERVER_WORKERS": "1"}
    service = start_service(**settings)
    caller = Caller(service.api)

    assert caller.get(EVENTS, "datastorage").status == 200
    assert unauthorized(caller.get(EVENTS, "elsewhere")) == "the bearer token was not accepted"
    refusals = Scrape(service.metrics_api).value("auth_refusals_total", reason="invalid_token_audience")
    assert refusals == 1


# proxy


@pytest.fixture(scope="module")
def behind_proxy(start_service: StartService, policy: Path) -> Caller:
    service = start_service(
        AUTH_MODE="proxy",
        AUTH_TRUSTED_PROXIES="127.0.0.1/32",
        AUTH_POLICY_FILE=str(policy),
        SERVER_WORKERS="1",
    )
    return Caller(service.api)


def test_user_of_a_trusted_proxy_has_what_its_bindings_say(behind_proxy: Caller) -> None:
    groups = {"X-Auth-Request-User": "bob", "X-Auth-Request-Groups": "day, night"}

    assert behind_proxy.get(EVENTS, **groups).status == 200
    assert_problem(behind_proxy.post(EVENTS, an_event(), **groups), 403, "forbidden")
    ana = behind_proxy.get(WHOAMI, **{"X-Auth-Request-User": "ana@example.org"}).json
    assert (ana["kind"], ana["permissions"]) == ("person", ["read", "admin"])
    assert behind_proxy.get(WHOAMI, **groups).json["groups"] == ["day", "night"]


@pytest.mark.parametrize("user", ["ana,root", "a" * 256, "a\tb"])
def test_identity_header_that_cannot_be_a_name_is_refused(behind_proxy: Caller, user: str) -> None:
    detail = unauthorized(behind_proxy.get(EVENTS, **{"X-Auth-Request-User": user}))

    assert detail == "the identity header was not accepted"


def test_caller_that_is_no_trusted_proxy_cannot_name_a_user(
    start_service: StartService, policy: Path
) -> None:
    service = start_service(
        AUTH_MODE="proxy",
        AUTH_TRUSTED_PROXIES="192.0.2.0/24",
        AUTH_POLICY_FILE=str(policy),
        SERVER_WORKERS="1",
    )

    detail = unauthorized(Caller(service.api).get(EVENTS, **{"X-Auth-Request-User": "ana@example.org"}))
    assert detail == "a bearer token is required"


# static


def an_entry(token: str, **changed: Any) -> dict[str, Any]:
    return {"name": "ci-robot", "sha256": hash_of(token), "roles": ["writer"]} | changed


def test_token_counts_as_long_as_its_entry_does(start_service: StartService, tmp_path: Path) -> None:
    file, token, admin = tmp_path / "tokens.yaml", new_token(), new_token()
    file.write_text(
        yaml.safe_dump({"tokens": [an_entry(token), an_entry(admin, name="root", roles=["admin"])]})
    )
    service = start_service(AUTH_MODE="static", AUTH_TOKENS_FILE=str(file), SERVER_WORKERS="1")
    caller = Caller(service.api)
    assert caller.post(EVENTS, an_event(), token).status == 201
    assert_problem(caller.get(EVENTS, token), 403, "forbidden")
    assert caller.get(WHOAMI, token).json["kind"] == "service"
    unauthorized(caller.post(EVENTS, an_event(), new_token()))
    assert caller.patch(DISABLE, DISABLING, admin).status == 404

    file.write_text("tokens: [")
    eventually(lambda: "Access policy not reloaded" in service.log)
    assert caller.post(EVENTS, an_event(), token).status == 201
    assert "datastorage_auth_policy_valid 0.0" in service.metrics_api.get("/metrics").body.decode()

    file.write_text(yaml.safe_dump({"tokens": [an_entry(token)]}))
    unauthorized(caller.patch(DISABLE, DISABLING, admin))
    expired = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    file.write_text(yaml.safe_dump({"tokens": [an_entry(token, expires=expired)]}))
    eventually(lambda: caller.post(EVENTS, an_event(), token).status == 401, timeout_seconds=15)


# jwt


@pytest.fixture(scope="module")
def identity_provider(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with issuer(tmp_path_factory.mktemp("issuer")) as running:
        yield running


@pytest.fixture(scope="module")
def signed(
    identity_provider: Issuer, start_service: StartService, reviews: ReviewServer, tmp_path_factory: Any
) -> Caller:
    """A client of a service that takes tokens of the issuer, and asks the API server about others."""
    policy = tmp_path_factory.mktemp("jwt") / "policy.yaml"
    policy.write_text(
        yaml.safe_dump({"issuers": [identity_provider.entry], "roles": ROLES, "bindings": BINDINGS})
    )
    settings = reviews.settings | {"AUTH_MODE": "jwt,kubernetes", "AUTH_POLICY_FILE": str(policy)}
    settings |= {"RATE_LIMIT_FAILURES": "off"}
    return Caller(start_service(**settings, SERVER_WORKERS="1").api)


def test_good_token_of_an_issuer_is_accepted(signed: Caller, identity_provider: Issuer) -> None:
    token = identity_provider.token(groups=["compliance"])

    assert signed.get(EVENTS, token, Accept="application/x-ndjson").status == 200
    assert signed.get(WHOAMI, token).json == {
        "name": "oidc:ana",
        "kind": "person",
        "mode": "jwt",
        "groups": ["oidc:compliance"],
        "permissions": ["read", "export"],
    }


def _alg_none(provider: Issuer) -> str:
    return jwt.encode(provider.claims(), "", "none", headers={"kid": "first"})


BAD: Mapping[str, Callable[[Issuer], str]] = {
    "alg none": _alg_none,
    "HS256 keyed with the public key": lambda provider: keyed_with_the_public_key(
        provider, provider.claims()
    ),
    "wrong audience": lambda provider: provider.token(aud="somebody-else"),
    "expired 31 seconds ago": lambda provider: provider.token(exp=time.time() - 31),
    "not yet valid": lambda provider: provider.token(nbf=time.time() + 60),
    "without exp": lambda provider: provider.token(exp=None),
    "name of a service account": lambda provider: provider.token(sub="system:serviceaccount:a:b"),
    "another key": lambda provider: jwt.encode(
        provider.claims(), rsa.generate_private_key(65537, 2048), "RS256", headers={"kid": "first"}
    ),
    "key of another kind": lambda provider: jwt.encode(
        provider.claims(), ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": "first"}
    ),
    "no name": lambda provider: provider.token(sub=None),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_token_of_an_issuer_is_refused_and_the_api_server_not_asked(
    signed: Caller, identity_provider: Issuer, reviews: ReviewServer, bad: str
) -> None:
    reviews.forget()

    detail = unauthorized(signed.get(EVENTS, BAD[bad](identity_provider)))

    assert detail == "the bearer token was not accepted"
    assert not reviews.counts


def test_new_key_is_fetched_and_unknown_ones_are_not_asked_for_again_and_again(
    signed: Caller, identity_provider: Issuer
) -> None:
    identity_provider.rotate("second")
    fetched = identity_provider.fetches
    with ThreadPoolExecutor(8) as pool:  # the first fetches, the others wait for it
        tokens = [identity_provider.token() for _ in range(8)]
        assert {answer.status for answer in pool.map(partial(signed.get, WHOAMI), tokens)} == {200}
    assert identity_provider.fetches == fetched + 1

    for place in range(100):
        unauthorized(signed.get(WHOAMI, identity_provider.token(kid=f"unknown-{place}")))
    assert identity_provider.fetches <= fetched + 2


def test_issuer_that_is_down_at_the_start_keeps_nothing_from_starting(
    start_service: StartService, reviews: ReviewServer, tmp_path: Path
) -> None:
    authority = Authority(tmp_path, "nowhere")
    entry = {
        "issuer": "https://nowhere.example",
        "audience": AUDIENCE,
        "jwks_url": "https://127.0.0.1:1/keys",
        "ca_file": str(authority.ca_file),
    }
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps({"issuers": [entry]}))
    settings = reviews.settings | {"AUTH_MODE": "jwt,kubernetes", "AUTH_POLICY_FILE": str(policy)}
    caller = Caller(start_service(**settings, SERVER_WORKERS="1").api)
    claims = {"iss": "https://nowhere.example", "aud": AUDIENCE, "exp": time.time() + 60, "sub": "a"}
    token = jwt.encode(claims, rsa.generate_private_key(65537, 2048), "RS256", headers={"kid": "k"})

    reviews.forget()
    assert_problem(caller.get(EVENTS, token), 503, "auth-unavailable")
    assert reviews.counts[TOKEN_REVIEWS] == 0
    assert caller.get("/health/ready").status == caller.get("/readyz").status == 200
