"""How many requests a caller may send, and how many credentials an address may try (access.md 6)."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from datastorage.platform.access.tokens import hash_of, new_token
from tests.api.access.conftest import Caller
from tests.support.browser import Browser
from tests.support.builders import EVENTS, an_event
from tests.support.exposition import Scrape
from tests.support.http import Answer, assert_problem
from tests.support.isolated import IsolatedService
from tests.support.started import StartService

TOKEN = new_token()


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one token, which may do everything."""
    path = tmp_path_factory.mktemp("tokens") / "tokens.yaml"
    entry = {"name": "busy", "sha256": hash_of(TOKEN), "roles": ["admin"]}
    path.write_text(yaml.safe_dump({"tokens": [entry]}))
    return path


def a_caller(start_service: StartService, tokens: Path, **changed: str) -> Caller:
    settings: dict[str, Any] = {"AUTH_MODE": "static", "AUTH_TOKENS_FILE": str(tokens), "SERVER_WORKERS": "1"}
    return Caller(start_service(**settings | changed).api)


def at_once(request: Any, times: int = 30) -> list[Answer]:
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(lambda _: request(), range(times)))


def test_reads_beyond_the_limit_are_429_and_say_when_to_come_again(
    start_service: StartService, tokens: Path
) -> None:
    caller = a_caller(start_service, tokens, RATE_LIMIT_READS="10/minute")

    answers = at_once(lambda: caller.get(EVENTS, TOKEN))

    assert [answer.status for answer in answers].count(200) == 10
    refused = next(answer for answer in answers if answer.status != 200)
    problem = assert_problem(refused, 429, "rate-limit-exceeded")
    assert problem["detail"] == "too many requests"
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.headers["RateLimit-Policy"] == '"read";q=10;w=60'
    assert refused.headers["RateLimit"].startswith('"read";r=0;t=')
    assert "RateLimit" in next(answer for answer in answers if answer.status == 200).headers
    assert caller.post(EVENTS, an_event(), TOKEN).status == 201


@pytest.mark.parametrize("status", [503, 429])
def test_writes_beyond_the_limit_get_the_status_that_clients_repeat(
    start_service: StartService, tokens: Path, status: int
) -> None:
    changed = {"RATE_LIMIT_WRITES": "10/minute", "RATE_LIMIT_WRITE_STATUS": str(status)}
    caller = a_caller(start_service, tokens, **changed)

    answers = at_once(lambda: caller.post(EVENTS, an_event(), TOKEN))

    assert sorted(answer.status for answer in answers) == sorted([201] * 10 + [status] * 20)
    refused = next(answer for answer in answers if answer.status == status)
    problem = assert_problem(refused, status, "rate-limit-exceeded")
    assert problem["retry"] is True
    assert "RateLimit" not in next(answer for answer in answers if answer.status == 201).headers


def test_address_that_tries_too_many_credentials_is_kept_out_but_for_known_tokens(
    start_service: StartService, tokens: Path
) -> None:
    caller = a_caller(start_service, tokens)
    assert caller.get(EVENTS, TOKEN).status == 200

    statuses = [caller.get(EVENTS, new_token()).status for _ in range(62)]

    assert statuses[:60] == [401] * 60
    assert statuses[-1] == 429
    assert assert_problem(caller.get(EVENTS, new_token()), 429, "rate-limit-exceeded")["detail"] == (
        "too many refused requests from this address"
    )
    assert caller.get(EVENTS, TOKEN).status == 200
    assert caller.get("/health").status == 200
    assert Browser(caller.api).log_in(new_token()).status == 429
    assert Browser(caller.api).log_in(TOKEN).status == 303


def test_forwarded_address_counts_from_a_trusted_proxy_only(
    start_service: StartService, tokens: Path
) -> None:
    trusting = a_caller(start_service, tokens, SERVER_TRUSTED_PROXIES="127.0.0.0/8")
    doubting = a_caller(start_service, tokens)

    def tried(caller: Caller) -> set[int]:
        addresses = (f"198.51.100.{place}" for place in range(70))
        return {
            caller.get(EVENTS, "bad", **{"X-Forwarded-For": f"{it}, 127.0.0.2"}).status for it in addresses
        }

    assert tried(trusting) == {401}
    assert tried(doubting) == {401, 429}


def test_pods_share_a_limit_in_redis(start_service: StartService, tokens: Path) -> None:
    shared = {"RATE_LIMIT_READS": "20/minute", "RATE_LIMIT_STORAGE": "redis"}
    pods = [a_caller(start_service, tokens, **shared) for _ in range(2)]

    statuses = [pods[place % 2].get(EVENTS, TOKEN).status for place in range(60)]

    assert statuses.count(200) == 20


def test_limit_in_a_redis_that_is_away_is_counted_by_the_worker(
    isolated: IsolatedService, tokens: Path, tmp_path: Path
) -> None:
    settings = {"AUTH_MODE": "static", "AUTH_TOKENS_FILE": str(tokens), "SERVER_WORKERS": "1"}
    limit = {"RATE_LIMIT_READS": "20/minute", "RATE_LIMIT_STORAGE": "redis"}
    with isolated.another_service(tmp_path, **settings, **limit) as service:
        caller = Caller(service.api)
        assert caller.get(EVENTS, TOKEN).status == 200
        isolated.redis.stop()

        statuses = [caller.get(EVENTS, TOKEN).status for _ in range(30)]

        assert statuses == [200] * 20 + [429] * 10
        assert Scrape(service.metrics_api).value("rate_limit_backend_errors_total") >= 1
