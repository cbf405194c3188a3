"""People log in at the console with a token; their session is as good as it, and no better (access.md 9)."""

import base64
import json
import signal
import time
from collections.abc import Iterator

import pytest

from tests.api.access.conftest import VERBS
from tests.support.browser import LOGIN, LOGOUT, SESSION, Browser, hidden_fields
from tests.support.builders import EVENTS
from tests.support.exposition import Scrape
from tests.support.http import Answer, assert_problem
from tests.support.paged_service import PAGE, PagedService
from tests.support.processes import descendants
from tests.support.review_server import TOKEN_REVIEWS, Account, ReviewServer
from tests.support.servers import TestDatabase
from tests.support.service import ServiceProcess
from tests.support.started import started_services
from tests.support.waiting import eventually

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HTTPS = {"X-Forwarded-Proto": "https"}
ADMIN_PAGE = f"{PAGE}/admin"


@pytest.fixture(scope="module")
def paged(
    reviews: ReviewServer, database: TestDatabase, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    """A service with a page of the tests, two workers and no key of its own; these tests are its proxy."""
    settings = reviews.settings | {"RATE_LIMIT_FAILURES": "off", "SERVER_TRUSTED_PROXIES": "127.0.0.1/32"}
    with started_services(database, redis_url, tmp_path_factory, PagedService) as start:
        yield start(**settings)


@pytest.fixture
def browser(paged: ServiceProcess, reviews: ReviewServer) -> Browser:
    for name, verbs in VERBS.items():
        reviews.accounts[name] = Account(f"system:serviceaccount:kubernaut-system:{name.lower()}", verbs)
    return Browser(paged.api)


def is_form(answer: Answer) -> bool:
    return answer.headers["Content-Type"].startswith("text/html") and b'name="token"' in answer.body


def refusals(paged: ServiceProcess, reason: str) -> float:
    return Scrape(paged.metrics_api).value("auth_refusals_total", reason=reason)


def test_reader_logs_in_and_sees_a_page(browser: Browser) -> None:
    page = browser.get(PAGE)
    assert page.status == 401
    assert is_form(page)

    answer = browser.log_in("R", PAGE)

    assert answer.status == 303
    assert answer.headers["Location"] == PAGE
    session = browser.cookies[SESSION]
    assert (session["path"], session["samesite"], session["max-age"]) == ("/console", "Strict", "3600")
    assert session["httponly"]
    assert not session["secure"]
    # Both workers open what one of them has sealed.
    assert {browser.get(PAGE, Connection="close").status for _ in range(12)} == {200}


def test_altered_session_is_refused_and_none_counts_outside_the_console(
    browser: Browser, paged: ServiceProcess
) -> None:
    browser.log_in("R")
    sealed = browser.cookies[SESSION].value
    altered = sealed[:50] + ("A" if sealed[50] != "A" else "B") + sealed[51:]
    before = refusals(paged, "session_invalid")

    answer = browser.get(PAGE, Cookie=f"{SESSION}={altered}")
    outside = browser.get(EVENTS)

    assert answer.status == 401
    assert is_form(answer)
    eventually(lambda: refusals(paged, "session_invalid") == before + 1)
    assert_problem(outside, 401, "unauthorized")


@pytest.mark.parametrize("cookie", ["x", '"\\351"', "é", "gAAAA" * 200, "="])
def test_cookie_that_never_was_a_session_is_refused(paged: ServiceProcess, cookie: str) -> None:
    answer = paged.api.get(PAGE, Cookie=f"{SESSION}={cookie}".encode().decode("latin-1"))

    assert answer.status == 401
    assert is_form(answer)


def test_session_ends_with_its_token(browser: Browser, reviews: ReviewServer) -> None:
    reviews.accounts["once"] = reviews.accounts["M"]
    browser.log_in("once")
    fields = hidden_fields(browser.get(PAGE))
    assert browser.send(ADMIN_PAGE, fields).status == 303

    del reviews.accounts["once"]

    assert browser.send(ADMIN_PAGE, fields).status == 401


def test_page_asks_for_the_permission_of_its_data(browser: Browser) -> None:
    browser.log_in("W")

    answer = browser.get(PAGE)

    assert answer.status == 403
    assert b"permission read is missing" in answer.body
    assert b"system:serviceaccount:kubernaut-system:w" in answer.body
    assert browser.send(LOGOUT, hidden_fields(answer)).status == 303
    assert browser.get(PAGE).status == 401


def test_session_lasts_no_longer_than_its_token(browser: Browser, reviews: ReviewServer) -> None:
    parts: list[dict[str, object]] = [{"alg": "RS256"}, {"exp": time.time() + 600}]
    encoded = [base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts]
    token = ".".join([*encoded, "x"])
    reviews.accounts[token] = reviews.accounts["R"]

    browser.log_in(token)

    assert 0 < int(browser.cookies[SESSION]["max-age"]) <= 600


def test_cookies_are_for_tls_alone_where_a_trusted_proxy_has_seen_it(browser: Browser) -> None:
    page = browser.get(LOGIN, **HTTPS)
    browser.send(LOGIN, hidden_fields(page) | {"token": "R"}, **HTTPS)

    assert {name for name, each in browser.cookies.items() if each["secure"]} == {SESSION, "datastorage_csrf"}
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_refused_token_shows_the_form_again(
    browser: Browser, paged: ServiceProcess, reviews: ReviewServer
) -> None:
    before = refusals(paged, "invalid_token")

    answer = browser.log_in("never-to-be-seen-0817", PAGE)

    assert answer.status == 401
    assert b"This token was not accepted." in answer.body
    assert hidden_fields(answer)["next"] == PAGE
    assert SESSION not in browser.cookies
    eventually(lambda: refusals(paged, "invalid_token") == before + 1)
    assert "never-to-be-seen-0817" not in paged.log
    assert reviews.counts[TOKEN_REVIEWS] >= 1


@pytest.mark.parametrize(
    ("token", "status"), [("x" * 2801, 400), ("x" * 2800, 401), ("", 401), ("a b", 401), ("€\r\n", 401)]
)
def test_what_is_no_token_shows_the_form(browser: Browser, token: str, status: int) -> None:
    answer = browser.log_in(token)

    assert answer.status == status
    assert is_form(answer)


def test_longest_token_fits_a_session(browser: Browser, reviews: ReviewServer) -> None:
    token = "y" * 2800
    reviews.accounts[token] = reviews.accounts["R"]

    assert browser.log_in(token).status == 303
    assert len(browser.cookies[SESSION].value) + len(SESSION) < 4096
    assert browser.get(PAGE).status == 200


def test_form_of_more_than_64_kib_is_not_read(browser: Browser) -> None:
    fields = hidden_fields(browser.get(LOGIN))

    assert browser.send(LOGIN, fields | {"token": "x" * 65536}).status == 413


def test_login_leads_nowhere_but_to_pages(browser: Browser) -> None:
    answer = browser.log_in("R", next="//evil")

    assert answer.status == 303
    assert answer.headers["Location"] == "/console/"


def test_form_without_signature_is_refused(browser: Browser, paged: ServiceProcess) -> None:
    browser.log_in("R")
    before = refusals(paged, "csrf_failed")

    for fields in ({}, {"csrf": "0" * 64}, {"csrf": ""}):
        answer = browser.send(PAGE, fields)
        assert answer.status == 403
        assert b"Cross-Site Request Refused" in answer.body
        assert b"the form is too old or came from another site" in answer.body

    eventually(lambda: refusals(paged, "csrf_failed") == before + 3)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "own", "Sec-Fetch-Site": "same-origin"}, 303),
        ({}, 303),
    ],
    ids=str,
)
def test_form_of_another_site_is_refused(
    browser: Browser, paged: ServiceProcess, headers: dict[str, str], status: int
) -> None:
    browser.log_in("R")
    fields = hidden_fields(browser.get(PAGE))
    own = {name: paged.api.url if value == "own" else value for name, value in headers.items()}

    assert browser.send(PAGE, fields, **own).status == status


def test_page_by_tls_does_not_trust_one_without(browser: Browser, paged: ServiceProcess) -> None:
    browser.log_in("R")
    fields = hidden_fields(browser.get(PAGE))

    assert browser.send(PAGE, fields, Origin=paged.api.url, **HTTPS).status == 403
    assert browser.send(PAGE, fields, Origin=paged.api.url.replace("http", "https"), **HTTPS).status == 303


def test_signature_counts_in_a_header_and_for_its_own_session_alone(browser: Browser) -> None:
    browser.log_in("R")
    signature = hidden_fields(browser.get(PAGE))["csrf"]
    assert browser.send(PAGE, {}, **{"X-CSRF-Token": signature}).status == 303

    browser.log_in("R")

    assert browser.send(PAGE, {"csrf": signature}).status == 403


def test_login_of_another_site_is_refused(browser: Browser, paged: ServiceProcess) -> None:
    fields = hidden_fields(browser.get(LOGIN)) | {"token": "R"}

    assert Browser(paged.api).send(LOGIN, fields).status == 403
    assert browser.send(LOGIN, fields, Origin="https://evil.example").status == 403
    assert browser.send(LOGIN, fields).status == 303


def test_token_in_a_header_counts_as_everywhere(paged: ServiceProcess, browser: Browser) -> None:
    browser.log_in("N")

    assert browser.get(PAGE, Authorization="Bearer R").status == 200
    assert paged.api.get(PAGE, Authorization="Bearer B").status == 401


def test_unknown_page_is_for_known_people_to_know(browser: Browser) -> None:
    assert is_form(browser.get("/console/nothing"))
    browser.log_in("N")

    answer = browser.get("/console/nothing")

    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("text/html")
    assert_problem(browser.get("/console/raw/nothing"), 404, "not-found")
    assert browser.get(LOGOUT).status == 405


@pytest.mark.parametrize("path", [LOGIN, PAGE, "/console/static/nothing.css", "/docs", "/docs/"])
def test_every_page_keeps_foreign_content_out(paged: ServiceProcess, path: str) -> None:
    answer = paged.api.get(path)

    assert answer.headers["Content-Type"].startswith("text/html")
    relaxed = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
    assert answer.headers["Content-Security-Policy"] == (relaxed if path.startswith("/docs") else POLICY)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in answer.headers
    assert b"<script>" not in answer.body
    assert b"style=" not in answer.body


def test_files_of_the_pages_need_nothing(paged: ServiceProcess) -> None:
    answer = paged.api.get("/console/static/console.css")

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/css")
    assert "max-age" in answer.headers["Cache-Control"]
    assert paged.api.get("/console/static/../routes.py").status in {401, 404}
    assert paged.api.get("/console/static/%2e%2e/routes.py").status in {401, 404}


def test_session_outlives_a_reload_without_a_key_of_its_own(paged: ServiceProcess, browser: Browser) -> None:
    browser.log_in("R")
    old = set(descendants(paged.pid))

    paged.signal(signal.SIGHUP)
    eventually(lambda: len(descendants(paged.pid)) == len(old) and not old & set(descendants(paged.pid)))

    assert {browser.get(PAGE, Connection="close").status for _ in range(8)} == {200}
