"""No secret shows up where others may look (access.md 1): logs, arguments, environments, answers."""

import base64
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from datastorage.platform.access.tokens import hash_of, new_token
from tests.api.access.conftest import Caller
from tests.support.browser import SESSION, Browser, hidden_fields
from tests.support.builders import EVENTS, an_event
from tests.support.http import Answer, assert_problem
from tests.support.processes import descendants
from tests.support.service import ServiceProcess
from tests.support.started import StartService
from tests.support.waiting import eventually

GOOD, BAD, PASTED = new_token(), new_token(), "eyJ-never-to-be-seen-0818"
KEY = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture(scope="module")
def secretive(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> ServiceProcess:
    """A service with every kind of secret there is, whose scrapes need a permission."""
    folder = tmp_path_factory.mktemp("secrets")
    tokens, key = folder / "tokens.yaml", folder / "session-keys"
    entry = {"name": "reader", "kind": "person", "sha256": hash_of(GOOD), "roles": ["reader"]}
    tokens.write_text(yaml.safe_dump({"tokens": [entry]}))
    key.write_text(KEY)
    return start_service(
        AUTH_MODE="static",
        AUTH_TOKENS_FILE=str(tokens),
        AUTH_METRICS_PERMISSION="read",
        CONSOLE_SESSION_KEY_FILE=str(key),
        LOGGING_LEVEL="debug",
    )


def test_scrape_of_the_metrics_port_needs_a_permission_where_an_installation_wants_it(
    secretive: ServiceProcess,
) -> None:
    metrics = Caller(secretive.metrics_api)

    assert_problem(metrics.get("/metrics"), 401, "unauthorized")
    assert metrics.get("/metrics", GOOD).status == 200
    assert metrics.get("/health/ready").status == metrics.get("/readyz").status == 200


def test_no_secret_is_in_logs_arguments_environments_and_problems(secretive: ServiceProcess) -> None:
    browser = Browser(secretive.api)
    problems = [*refused_requests(Caller(secretive.api)), *refused_pages(browser)]
    last = problems[0].json["request_id"]
    eventually(lambda: last in secretive.log)
    found = {
        "log": secretive.log,
        "problems": "".join(each.body.decode() for each in problems),
        "processes": "".join(seen_of_processes(secretive)),
    }

    secret = [GOOD, BAD, PASTED, KEY, browser.cookies[SESSION].value, *passwords(secretive)]
    leaks = [(place, each) for place, text in found.items() for each in secret if each in text]

    assert len(secret) >= 6
    assert leaks == []


def refused_requests(caller: Caller) -> list[Answer]:
    """Show tokens in every place that there is, so that they are refused."""
    in_query = f"{EVENTS}?access_token={GOOD}&limit=x"
    refused = [
        caller.get(EVENTS, BAD),
        caller.post(EVENTS, an_event(), GOOD),
        caller.get(EVENTS, Authorization=f"Basic {BAD}"),
        caller.get(EVENTS, Authorization=f"Bearer {BAD}, Bearer {GOOD}"),
        caller.get(in_query, GOOD),
        caller.get(EVENTS, Cookie=f"{SESSION}={GOOD}"),
    ]
    assert [answer.status for answer in refused] == [401, 403, 401, 401, 400, 401]
    return refused


def refused_pages(browser: Browser) -> list[Answer]:
    """Log in and do what is refused."""
    assert browser.log_in(GOOD).status == 303
    refused = [
        browser.log_in(PASTED),
        browser.get("/console/nothing"),
        browser.get("/console/nothing", Authorization=f"Bearer {BAD}"),
        browser.send("/console/login", {"token": PASTED}),
        browser.get("/console/nothing", Cookie=f"{SESSION}={PASTED}"),
    ]
    assert [answer.status for answer in refused] == [401, 404, 401, 403, 401]
    assert "csrf" in hidden_fields(refused[0])
    return refused


def seen_of_processes(service: ServiceProcess) -> Iterator[str]:
    """Yield what the system shows of every process of the service."""
    pids = [service.pid, *descendants(service.pid)]
    assert len(pids) >= 3, "the arbiter and two workers"
    for pid in pids:
        for name in ("cmdline", "environ"):
            yield Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")


def passwords(service: ServiceProcess) -> list[str]:
    """Return the passwords of the servers, where they have one."""
    found = (urlsplit(url).password for url in (service.database_url, service.redis_url))
    return [each for each in found if each]
